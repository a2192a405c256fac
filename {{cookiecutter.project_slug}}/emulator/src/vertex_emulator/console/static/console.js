// What moves in a page. Each part works on what the server has rendered; nothing here makes markup
// of text: values go through textContent and attributes.
"use strict";

const LIVE_SECONDS = 3, LOG_SECONDS = 1, CHART_SECONDS = 5, WATCH_SECONDS = 10;
const MOST_LINES = 2000; // of a log, so that hours of following take no more memory
const COLOURS = 6;
const DASHES = [[], [5, 4], [1, 4]], BORDERS = ["solid", "dashed", "dotted"]; // as of the style sheet

const gone = document.getElementById("gone");

async function ask(url, options) {
  try {
    const answer = await fetch(url, options);
    gone.hidden = true;
    return answer;
  } catch (error) {
    gone.hidden = false;
    throw error;
  }
}

// Calls `work` again and again while the page is seen, until it returns true.
function repeatedly(seconds, work) {
  const step = async () => {
    let done = false;
    if (!document.hidden) {
      try { done = await work(); } catch { /* said in the banner; tried again */ }
    }
    if (!done) setTimeout(step, seconds * 1000);
  };
  setTimeout(step, seconds * 1000);
}

// Parts of the page that follow what the server has: the same page is asked for again. What a person
// has opened in a part stays so until the server's own text of it changes.
function followLiveParts() {
  const live = () => [...document.querySelectorAll("[data-live]")];
  const served = new Map(live().map((part) => [part.id, part.innerHTML]));
  repeatedly(LIVE_SECONDS, async () => {
    const parts = live();
    if (!parts.length) { watchEmulator(); return true; }
    const answer = await ask(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok && answer.status !== 400) {
      if (answer.status === 404) location.reload(); // deleted while shown: the page says so
      return false;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    renewTokens(fresh);
    const isNew = (part) => !document.getElementById(part.id);
    const isTyping = document.activeElement.matches("input, select, textarea");
    if (!isTyping && [...fresh.querySelectorAll("[data-live]")].some(isNew)) location.reload();
    for (const part of parts) {
      const next = fresh.getElementById(part.id);
      if (!next) { part.remove(); continue; }
      const active = part.contains(document.activeElement) ? document.activeElement : null;
      if (active?.matches("input:not([type=checkbox]), select, textarea")) continue;
      if (served.get(part.id) !== next.innerHTML) {
        served.set(part.id, next.innerHTML);
        const held = active && (active.id ? `#${CSS.escape(active.id)}`
          : active.matches("a") ? `a[href="${CSS.escape(active.getAttribute("href"))}"]` : active.tagName);
        const ticked = new Set([...part.querySelectorAll("input:checked")].map((each) => each.id));
        part.replaceChildren(...next.childNodes);
        for (const box of part.querySelectorAll("input[type=checkbox]")) box.checked = ticked.has(box.id);
        if (held) part.querySelector(held)?.focus();
      }
      if (!next.hasAttribute("data-live")) part.removeAttribute("data-live");
    }
    return false;
  });
}

// Forms hold a token of one run of the emulator; after a restart they need the new one.
function renewTokens(fresh) {
  const token = fresh.querySelector("input[name=token]")?.value;
  if (!token) return;
  for (const field of document.querySelectorAll("input[name=token]")) field.value = token;
}

// A page on which nothing moves asks too whether the emulator is there.
function watchEmulator() {
  repeatedly(WATCH_SECONDS, async () => {
    const was = gone.hidden;
    await ask("/", { headers: { accept: "application/json" } });
    if (!was) {
      const answer = await ask(location.href, { headers: { accept: "text/html" } });
      renewTokens(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
    return false;
  });
}

function span(kind, text) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = text;
  return made;
}

function logLine(line) {
  const item = document.createElement("li");
  item.className = line.severity.toLowerCase();
  item.dataset.id = line.id;
  const time = document.createElement("time");
  time.dateTime = time.title = line.moment;
  time.textContent = line.clock;
  const text = span("text", line.text);
  if (line.left) {
    const left = document.createElement("em");
    left.textContent = line.left;
    text.append(" ", left);
  }
  item.append(time, span("severity", line.severity), span("replica", line.replica), text);
  return item;
}

function followLog(log) {
  log.scrollTop = log.scrollHeight;
  if ("over" in log.dataset) return;
  const note = document.getElementById("following");
  const url = new URL(log.dataset.follow, location.href);
  const shown = new Set([...log.children].map((item) => item.dataset.id));
  note.textContent = "Following.";
  const look = async () => {
    const answer = await ask(url);
    if (!answer.ok) { note.textContent = "The log cannot be followed any more."; return true; }
    const found = await answer.json();
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    for (const line of found.lines) {
      if (shown.has(line.id)) continue;
      shown.add(line.id);
      log.append(logLine(line));
    }
    while (log.children.length > MOST_LINES) {
      shown.delete(log.firstElementChild.dataset.id);
      log.firstElementChild.remove();
    }
    if (atEnd && found.lines.length) log.scrollTop = log.scrollHeight;
    const more = String(found.after) !== url.searchParams.get("after");
    url.searchParams.set("after", found.after);
    if (found.over) { note.textContent = "The job has ended."; return true; }
    return more ? look() : false; // what has piled up is fetched at once
  };
  repeatedly(LOG_SECONDS, look);
}

const styles = getComputedStyle(document.documentElement);
const colour = (index) => styles.getPropertyValue(`--c${index % COLOURS}`).trim();

const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);

// What is of one moment lies in the middle of a minute; within a second it lies in two, which have labels.
const around = (low, high) => (low === high ? [low - 30, high + 30] : high - low < 1 ? [low - 1, high + 1] : [low, high]);

// The places of scattered points have room at both ends.
function extent(chart, x, low, high) {
  if (chart.log) return [low / 1.3, high * 1.3];
  if (chart.scattered) {
    const room = chart.words.length ? 0.5 : 0.05 * (high - low) || 1;
    return [low - room, high + room];
  }
  return x && low === high ? [low - 1, high + 1] : around(low, high);
}

function ticksOf(chart, x) {
  if (chart.words?.length) return { incrs: [1], values: (_plot, ticks) => ticks.map((each) => chart.words[each] ?? "") };
  if (chart.log) return { values: (_plot, ticks) => ticks.map((each) => (each === null ? "" : `${Number(each.toPrecision(3))}`)) };
  if (chart.scattered) return {};
  return { ...(x ? {} : { values: (_plot, ticks) => ticks.map(clock) }), ...(chart.across ? { incrs: WHOLE } : {}) };
}

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 1e5, 1e6];

// Where nobody points into a chart, its legend shows the newest values; uPlot empties it later than
// it tells of that.
function showNewest(made) {
  setTimeout(() => {
    if (!(made.cursor.left >= 0)) made.setLegend({ idx: made.data[0].length - 1 });
  });
}

function redraw(made, chart) {
  made.setData([chart.moments, ...chart.lines.map((line) => line.values)]);
  showNewest(made);
}

function plot(place, chart, x) {
  const ink = styles.getPropertyValue("--quiet").trim();
  const edge = styles.getPropertyValue("--edge").trim();
  const axis = { stroke: ink, grid: { stroke: edge, width: 1 }, ticks: { stroke: edge, width: 1 } };
  const options = {
    width: place.clientWidth || 400,
    height: 170,
    scales: {
      x: {
        time: !x,
        distr: chart.log ? 3 : 1,
        range: (_plot, low, high) => extent(chart, x, low, high),
      },
      y: {
        range: (_plot, low, high) => {
          const top = Math.max(high ?? 0, chart.floor || 0), bottom = Math.min(low ?? 0, 0);
          return [x ? low - 0.05 * (high - low || 1) : bottom, (x ? high : top) + 0.05 * ((x ? high - low : top - bottom) || 1)];
        },
      },
    },
    axes: [
      { ...axis, space: 80, ...ticksOf(chart, x) },
      { ...axis, size: 62 },
    ],
    series: [
      { label: x || "UTC", ...(x ? {} : { value: (_plot, moment) => (moment ? clock(moment) : "--") }) },
      ...chart.lines.map((line, index) => ({
        label: line.label, stroke: colour(line.colour ?? index), dash: DASHES[line.dash ?? 0], width: 1.6, spanGaps: !chart.gaps,
        ...(chart.scattered ? { paths: () => null } : {}),
        points: chart.scattered ? { show: true, size: 7, fill: colour(index) } : chart.gaps ? { show: true, size: 4 } : { show: chart.moments.length < 3 }, // one between gaps is no line
      })),
    ],
    legend: { live: true, markers: { dash: (_plot, index) => BORDERS[chart.lines[index - 1]?.dash ?? 0] } },
  };
  const made = new uPlot(options, [chart.moments, ...chart.lines.map((line) => line.values)], place);
  made.over.addEventListener("mouseleave", () => showNewest(made));
  showNewest(made);
  return made;
}

function drawCharts(place) {
  const plots = new Map();
  const once = place.dataset.charts.includes("once=");
  const draw = async () => {
    const answer = await ask(place.dataset.charts);
    if (!answer.ok) return true;
    for (const chart of await answer.json()) {
      const labels = JSON.stringify(chart.lines.map((line) => line.label));
      const known = plots.get(chart.title);
      if (known?.labels === labels) {
        redraw(known.plot, chart);
        continue;
      }
      let figure = known?.figure;
      if (!figure) {
        figure = [...place.children].find((each) => each.dataset.title === chart.title);
        if (!figure) {
          figure = document.createElement("figure");
          figure.className = "chart";
          place.append(figure);
        }
      }
      const caption = document.createElement("figcaption");
      caption.textContent = chart.title;
      const unit = document.createElement("small");
      unit.textContent = chart.unit ? ` ${chart.unit}` : "";
      caption.append(unit);
      figure.replaceChildren(caption);
      plots.set(chart.title, { labels, figure, plot: plot(figure, chart, chart.across) });
    }
    return once;
  };
  draw().then((done) => { if (!done) repeatedly(CHART_SECONDS, draw); }, () => repeatedly(CHART_SECONDS, draw));
  addEventListener("resize", () => {
    for (const { plot: each, figure } of plots.values()) {
      const style = getComputedStyle(figure);
      each.setSize({ width: figure.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight), height: 170 });
    }
  });
}

function offerCopies() {
  document.documentElement.classList.add("scripted"); // the style sheet shows what needs script
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// Sliders whose values stay 100 in all: what one takes, the others give by their size.
function splitTraffic(form) {
  const sliders = [...form.querySelectorAll("input[type=range]")];
  const command = document.getElementById("split-command");
  const begin = command.textContent.slice(0, command.textContent.indexOf("--traffic-split="));
  const show = () => {
    for (const each of sliders) each.nextElementSibling.textContent = `${each.value} %`;
    const shares = sliders.map((each) => `${each.name.slice("share.".length)}=${each.value}`);
    command.textContent = `${begin}--traffic-split=${shares.join(",")}`;
  };
  for (const moved of sliders) {
    moved.addEventListener("input", () => {
      const others = sliders.filter((each) => each !== moved);
      let left = 100 - Number(moved.value);
      let weight = others.reduce((sum, each) => sum + Number(each.value), 0);
      others.forEach((each, index) => {
        const rest = others.length - index;
        const share = rest === 1 ? left : Math.round(weight ? left * Number(each.value) / weight : left / rest);
        weight -= Number(each.value);
        each.value = share;
        left -= share;
      });
      show();
    });
  }
}

// The application's frame has no origin and may ask nobody: it posts the body of a request with a
// port, and gets the answer's text through it, or null where there is none.
function relayPredictions(frame) {
  addEventListener("message", async ({ source, data, ports: [port] }) => {
    if (source !== frame.contentWindow || typeof data !== "string" || !port) return;
    const headers = { "content-type": "application/json" };
    try {
      const answer = await ask(frame.dataset.predict, { method: "POST", headers, body: data });
      port.postMessage(await answer.text());
    } catch { port.postMessage(null); }
  });
}

// What was typed into a form that was refused stands there again once one is back at it.
function keepDraft(form) {
  const fields = () => [...form.elements].filter((each) => each.name && each.name !== "token");
  form.addEventListener("submit", () => {
    const typed = Object.fromEntries(fields().map((each) => [each.name, each.value]));
    sessionStorage.setItem(form.action, JSON.stringify(typed));
  });
  const [entry] = performance.getEntriesByType("navigation");
  const isBack = entry?.type === "back_forward" || document.referrer === form.action;
  const typed = isBack && JSON.parse(sessionStorage.getItem(form.action));
  sessionStorage.removeItem(form.action);
  if (!typed) return;
  for (const each of fields()) each.value = typed[each.name] ?? each.value;
  form.closest("details").open = true;
}

function shellQuoted(text) { return `'${text.replaceAll("'", `'"'"'`)}'`; }

function tryModel(form) {
  const fields = [...form.querySelectorAll("[data-name]")];
  const whole = document.getElementById("whole");
  const answer = document.getElementById("answer");
  const varied = document.getElementById("varied");

  const valueOf = (field) => {
    switch (field.dataset.kind) {
      case "boolean": return field.checked;
      case "number": case "integer": return field.value === "" ? null : Number(field.value);
      case "json": return JSON.parse(field.value);
      default: return field.value;
    }
  };
  const instance = () => Object.fromEntries(fields.map((field) => [field.dataset.name, valueOf(field)]));
  const body = () => (whole ? JSON.parse(whole.value) : { instances: [instance()] });

  const showRequest = () => {
    let text;
    try { text = JSON.stringify(body()); } catch { return; }
    for (const part of document.querySelectorAll("[data-template]")) {
      part.querySelector("pre").textContent = part.dataset.template
        .replaceAll("{{", "\u0001").replaceAll("}}", "\u0002")
        .replace("{url}", () => form.dataset.url)
        .replace("{quoted}", () => JSON.stringify(text))
        .replace("{shell}", () => shellQuoted(text))
        .replaceAll("\u0001", "{").replaceAll("\u0002", "}");
    }
  };

  const predict = async (instances) => {
    const url = new URL(form.dataset.url).pathname;
    const begun = performance.now();
    const got = await ask(url, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(instances),
    });
    return { ok: got.ok, document: await got.json(), milliseconds: performance.now() - begun };
  };

  const paragraph = (kind, text) => {
    const made = document.createElement("p");
    made.className = kind;
    made.textContent = text;
    return made;
  };

  const showAnswer = (got) => {
    if (!got.ok) { answer.replaceChildren(paragraph("problem", got.document.error?.message ?? JSON.stringify(got.document))); return; }
    const rows = [];
    const [first] = got.document.predictions ?? [];
    if (first && typeof first === "object" && !Array.isArray(first)) {
      for (const [name, value] of Object.entries(first)) {
        const row = paragraph("answer-row", `${name}: `);
        const strong = document.createElement("strong");
        strong.textContent = typeof value === "string" ? value : JSON.stringify(value);
        row.append(strong);
        const isShare = typeof value === "number" && value >= 0 && value <= 1;
        const shares = isShare ? [value] : Array.isArray(value) && value.every((each) => typeof each === "number" && each >= 0 && each <= 1) ? value : [];
        for (const share of shares) {
          const meter = document.createElement("meter");
          meter.value = share;
          meter.title = String(share);
          row.append(" ", meter);
        }
        rows.push(row);
      }
    }
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "The answer as JSON";
    const pre = document.createElement("pre");
    pre.className = "body";
    pre.textContent = JSON.stringify(got.document, null, 2);
    details.append(summary, pre);
    details.open = !rows.length;
    answer.replaceChildren(...rows, paragraph("quiet", `Version ${got.document.modelVersionId ?? "?"} answered in ${got.milliseconds.toFixed(0)} ms.`), details);
  };

  form.addEventListener("input", showRequest);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try { showAnswer(await predict(body())); }
    catch (error) { answer.replaceChildren(paragraph("problem", `The request was not sent: ${error.message}`)); }
  });

  // The answers along one feature, all others as they are.
  const STEPS = 25;
  for (const button of form.querySelectorAll(".vary")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = button.parentElement.querySelector("[data-name]");
      const value = Number(field.value) || 0;
      const low = Number(field.dataset.low ?? value - Math.max(1, Math.abs(value)));
      const high = Number(field.dataset.high ?? value + Math.max(1, Math.abs(value)));
      let places = [...Array(STEPS).keys()].map((step) => low + (high - low) * step / (STEPS - 1));
      if (field.dataset.kind === "integer") places = [...new Set(places.map(Math.round))];
      const name = field.dataset.name;
      const got = await predict({ instances: places.map((each) => ({ ...instance(), [name]: each })) });
      if (!got.ok) { showAnswer(got); return; }
      const lines = new Map();
      got.document.predictions.forEach((prediction, index) => {
        const found = typeof prediction === "object" && prediction !== null ? Object.entries(prediction) : [["prediction", prediction]];
        for (const [key, given] of found) {
          const values = Array.isArray(given) ? given.map((each, at) => [`${key}[${at}]`, each]) : [[key, given]];
          for (const [label, number] of values) {
            if (typeof number !== "number") continue;
            if (!lines.has(label)) lines.set(label, Array(places.length).fill(null));
            lines.get(label)[index] = number;
          }
        }
      });
      const figure = document.createElement("figure");
      figure.className = "chart";
      const caption = document.createElement("figcaption");
      caption.textContent = `The answer as ${name} moves`;
      figure.append(caption);
      varied.replaceChildren(figure);
      plot(figure, { moments: places, lines: [...lines].map(([label, values]) => ({ label, values })) }, name);
      figure.scrollIntoView({ block: "nearest" });
    });
  }
}

followLiveParts();
offerCopies();
document.querySelectorAll(".log[data-follow]").forEach(followLog);
document.querySelectorAll("[data-charts]").forEach(drawCharts);
document.querySelectorAll("[data-split]").forEach(splitTraffic);
document.querySelectorAll("[data-draft]").forEach(keepDraft);
const trial = document.getElementById("trial");
if (trial) tryModel(trial);
const application = document.getElementById("application");
if (application) relayPredictions(application);
