"""Which accelerators a training machine can have, and the image that uses them.

Sources: https://cloud.google.com/vertex-ai/docs/training/configure-compute (machine types and the
valid numbers of GPUs of each) and https://cloud.google.com/compute/docs/gpus.
"""

import re

from cloud.errors import UserError

# The GPUs that are built into a machine type: what they are and how many.
BUILT_IN = {
    "a2-highgpu-1g": ("NVIDIA_TESLA_A100", 1),
    "a2-highgpu-2g": ("NVIDIA_TESLA_A100", 2),
    "a2-highgpu-4g": ("NVIDIA_TESLA_A100", 4),
    "a2-highgpu-8g": ("NVIDIA_TESLA_A100", 8),
    "a2-megagpu-16g": ("NVIDIA_TESLA_A100", 16),
    "a2-ultragpu-1g": ("NVIDIA_A100_80GB", 1),
    "a2-ultragpu-2g": ("NVIDIA_A100_80GB", 2),
    "a2-ultragpu-4g": ("NVIDIA_A100_80GB", 4),
    "a2-ultragpu-8g": ("NVIDIA_A100_80GB", 8),
    "a3-highgpu-1g": ("NVIDIA_H100_80GB", 1),
    "a3-highgpu-2g": ("NVIDIA_H100_80GB", 2),
    "a3-highgpu-4g": ("NVIDIA_H100_80GB", 4),
    "a3-highgpu-8g": ("NVIDIA_H100_80GB", 8),
    "a3-megagpu-8g": ("NVIDIA_H100_MEGA_80GB", 8),
    "a3-ultragpu-8g": ("NVIDIA_H200_141GB", 8),
    "a4-highgpu-8g": ("NVIDIA_B200", 8),
    "a4x-highgpu-4g": ("NVIDIA_GB200", 4),
    "g2-standard-4": ("NVIDIA_L4", 1),
    "g2-standard-8": ("NVIDIA_L4", 1),
    "g2-standard-12": ("NVIDIA_L4", 1),
    "g2-standard-16": ("NVIDIA_L4", 1),
    "g2-standard-24": ("NVIDIA_L4", 2),
    "g2-standard-32": ("NVIDIA_L4", 1),
    "g2-standard-48": ("NVIDIA_L4", 4),
    "g2-standard-96": ("NVIDIA_L4", 8),
    "g4-standard-48": ("NVIDIA_RTX_PRO_6000", 1),
    "g4-standard-96": ("NVIDIA_RTX_PRO_6000", 2),
    "g4-standard-192": ("NVIDIA_RTX_PRO_6000", 4),
    "g4-standard-384": ("NVIDIA_RTX_PRO_6000", 8),
}
N1 = re.compile(r"n1-(?:standard|highmem|highcpu)-(\d+)")
# The numbers of GPUs that an N1 machine can have: with up to so many CPUs, these.
ATTACHABLE = {
    "NVIDIA_TESLA_T4": {16: (1, 2, 4), 32: (2, 4), 96: (4,)},
    "NVIDIA_TESLA_P4": {16: (1, 2, 4), 32: (2, 4), 96: (4,)},
    "NVIDIA_TESLA_P100": {16: (1, 2, 4), 32: (2, 4), 96: (4,)},
    "NVIDIA_TESLA_V100": {8: (1, 2, 4, 8), 16: (2, 4, 8), 32: (4, 8), 96: (8,)},
}
STOCK_IMAGE = re.compile(r"tensorflow/tensorflow:[\w.]+")


def check(machine_type: str, accelerator: str | None, count: int | None) -> int | None:
    """Checks that Google Cloud documents a machine with these accelerators.

    Args:
        machine_type: such as `n1-standard-4`.
        accelerator: such as `NVIDIA_TESLA_T4`; None stands for none.
        count: how many of them; None stands for the smallest number that the machine can have.

    Returns:
        How many accelerators the machine has; None where it has none.

    Raises:
        UserError: the trainer cannot use the accelerator, or the machine cannot have it, or not so
            many.
    """
    built_in = BUILT_IN.get(machine_type)
    if accelerator is None:
        if count is not None:
            raise UserError(f"--accelerator-count: {count} of what? Give --accelerator as well.")
        if built_in is not None:
            kind, number = built_in
            raise UserError(
                f"--machine-type: {machine_type} has {number} {kind}; add --accelerator {kind}."
            )
        return None
    if accelerator.startswith("TPU_"):
        raise UserError(
            f"--accelerator: TensorFlow 2.21 does not train on Vertex AI's TPUs, got {accelerator};"
            " take an NVIDIA accelerator."
        )
    numbers = attachable(machine_type, accelerator)
    if built_in is not None and built_in[0] == accelerator:
        numbers = (built_in[1],)
    if not numbers:
        raise UserError(
            f"--accelerator: {machine_type} cannot have {accelerator}; machine types that can:"
            f" {', '.join(machine_types(accelerator)) or 'none'}."
        )
    if count is not None and count not in numbers:
        raise UserError(
            f"--accelerator-count: {machine_type} can have {' or '.join(map(str, numbers))}"
            f" {accelerator}, got {count}."
        )
    return numbers[0] if count is None else count


def attachable(machine_type: str, accelerator: str) -> tuple[int, ...]:
    """Returns the numbers of an accelerator that can be attached to an N1 machine."""
    found = N1.fullmatch(machine_type)
    if found is None:
        return ()
    cpus = int(found[1])
    by_cpus = ATTACHABLE.get(accelerator, {})
    return next((numbers for max_cpus, numbers in by_cpus.items() if cpus <= max_cpus), ())


def machine_types(accelerator: str) -> list[str]:
    """Returns the machine types that can have an accelerator."""
    if accelerator in ATTACHABLE:
        return ["n1-standard-*", "n1-highmem-*", "n1-highcpu-*"]
    return [name for name, (kind, _number) in BUILT_IN.items() if kind == accelerator]


def image(training_image: str, accelerator: str | None) -> str:
    """Returns the image that uses the accelerator.

    TensorFlow's stock image has no CUDA, and its twin with `-gpu` in the tag has. Any other image
    is the person's own choice.
    """
    if accelerator is None or not STOCK_IMAGE.fullmatch(training_image):
        return training_image
    return training_image if training_image.endswith("-gpu") else f"{training_image}-gpu"
