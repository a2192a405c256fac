"""List prices of Vertex AI's machines, from the Cloud Billing Catalog.

Source: https://cloud.google.com/billing/v1/how-tos/catalog-api.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloud import rest
from cloud.client import Client
from cloud.errors import UserError

SERVICE = "Vertex AI"
SERVICE_NAME = "services/C7E2-9256-1C43"  # in the catalog, whatever Google calls it today
# Of the descriptions of Vertex AI's SKUs, such as "Vertex AI: Training/Pipelines on N1 Predefined
# Instance Core running in …" and "Vertex AI: Online/Batch Prediction N1 Predefined Instance Ram …".
TRAINING = re.compile(r"\btraining\b", re.IGNORECASE)
PREDICTION = re.compile(r"\bprediction\b", re.IGNORECASE)
CORE = re.compile(r"\bcore\b", re.IGNORECASE)
MEMORY = re.compile(r"\bram\b", re.IGNORECASE)
OTHERS = re.compile(r"\b(spot|preemptible|dws|custom instance)\b", re.IGNORECASE)
# What Vertex AI takes for running a machine, beside the machine's own price.
FEE = re.compile(r"\bmanagement fee\b", re.IGNORECASE)


@dataclass(frozen=True)
class Hourly:
    """The price of one machine for an hour.

    Attributes:
        amount: in `currency`.
        currency: ISO 4217 code.
        parts: how it comes about, a line each.
    """

    amount: float
    currency: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """What a machine type has: `cpus` and `memory_gib`."""

    cpus: int
    memory_gib: float


def training_hour(client: Client, machine_type: str) -> Hourly:
    """Returns the list price of a training machine for an hour.

    Raises:
        UserError: the catalog cannot be reached, or does not name one price for this machine.
    """
    return _hour(client, machine_type, "training", TRAINING)


def prediction_hour(client: Client, machine_type: str) -> Hourly:
    """Returns the list price of a machine that serves, or predicts in a batch, for an hour.

    Raises:
        UserError: as `training_hour` does.
    """
    return _hour(client, machine_type, "prediction", PREDICTION)


def _hour(client: Client, machine_type: str, use: str, of_use: re.Pattern[str]) -> Hourly:
    machine = machine_of(client, machine_type)
    family = machine_type.partition("-")[0].upper()
    word = re.compile(rf"\b{re.escape(family)}\b", re.IGNORECASE)
    skus = [
        sku
        for sku in skus_of(client, service_name(client))
        if of_use.search(sku["description"])
        and word.search(sku["description"])
        and not OTHERS.search(sku["description"])
        and client.config.region in sku["serviceRegions"]
    ]
    total, parts, currency = 0.0, [], ""
    for title, pattern, amount in (
        ("core", CORE, float(machine.cpus)),
        ("GiB of memory", MEMORY, machine.memory_gib),
    ):
        found = [sku for sku in skus if pattern.search(sku["description"])]
        fees = [sku for sku in found if FEE.search(sku["description"])]
        if len(found) - len(fees) != 1 or len(fees) > 1:
            raise UserError(
                f"expected one price in the catalog for a {title} of {family} {use} machines in"
                f" {client.config.region}, found {len(found)}; see"
                " https://cloud.google.com/vertex-ai/pricing."
            )
        for sku in found:
            each, currency = unit_price(sku)
            total += amount * each
            parts.append(f"{amount:g} x {each:.6f} {currency} an hour: {sku['description']}")
    return Hourly(total, currency, tuple(parts))


def machine_of(client: Client, machine_type: str) -> Machine:
    """Asks Compute Engine what a machine type has.

    Raises:
        UserError: the region has no such machine.
    """
    config = client.config
    query = {"filter": f'name="{machine_type}"'}
    path = f"compute/v1/projects/{config.project}/aggregated/machineTypes"
    zones = rest.call(client, "GET", "compute", path, query=query).get("items", {})
    for zone, listed in zones.items():
        if zone.startswith(f"zones/{config.region}-"):
            for found in listed.get("machineTypes", []):
                return Machine(found["guestCpus"], found["memoryMb"] / 1024)
    raise UserError(
        f"{config.region} has no machine {machine_type!r}; 'gcloud compute machine-types list"
        f' --filter="zone:{config.region}"\' lists those it has.'
    )


def service_name(client: Client) -> str:
    """Returns the name of Vertex AI in the catalog, such as `services/0000-0000-0000`.

    Raises:
        UserError: the catalog has no such service.
    """
    for service in pages(client, "v1/services", "services"):
        if service["name"] == SERVICE_NAME or service["displayName"] == SERVICE:
            return str(service["name"])
    raise UserError(f"the catalog has no service {SERVICE!r}; Google may have renamed it.")


def skus_of(client: Client, service: str) -> Iterator[dict[str, Any]]:
    """Yields every SKU of a service."""
    return pages(client, f"v1/{service}/skus", "skus")


def pages(client: Client, path: str, field: str) -> Iterator[dict[str, Any]]:
    """Yields the items of all pages of a list."""
    query: dict[str, str] = {}
    while True:
        answer = rest.call(client, "GET", "cloudbilling", path, query=query)
        yield from answer.get(field, [])
        if not answer.get("nextPageToken"):
            return
        query = {"pageToken": answer["nextPageToken"]}


def unit_price(sku: dict[str, Any]) -> tuple[float, str]:
    """Returns the price of a unit for an hour and its currency, from a SKU's first paid tier."""
    expression = sku["pricingInfo"][-1]["pricingExpression"]
    price = expression["tieredRates"][-1]["unitPrice"]
    # Money is whole units and billionths: https://cloud.google.com/billing/docs/reference/rest/Shared.Types/Money
    amount = int(price.get("units", 0)) + price.get("nanos", 0) / 1e9
    return amount, price["currencyCode"]
