"use strict";
// The answer to "which one should I take": two limits and a wish choose a member; its scores and layers are shown.
(() => {
  const data = JSON.parse(document.getElementById("picker-data").textContent);
  if (data.members.length === 0) return;
  const get = (id) => document.getElementById(id);
  const [drop, latency, wish] = [get("drop"), get("latency"), get("wish")];
  const { fastest_ms: fastest, slowest_ms: slowest } = data.limits;
  const EPSILON = 1e-9;
  const RING = "shown below";
  let shown = null;

  // Elements are made of text only, so that no name can bring markup.
  function make(tag, content = "", className = "") {
    const element = document.createElement(tag);
    if (className) element.className = className;
    (Array.isArray(content) ? content : [content]).forEach((part) => element.append(part));
    return element;
  }

  const word = (value, digits) => Number(value.toPrecision(digits)).toString();
  const steps = Number(latency.max);
  // The slider moves in equal ratios, since networks differ by times, not by milliseconds.
  const latencyLimit = () => slowest * (fastest / slowest) ** (1 - Number(latency.value) / steps);

  function label() {
    const limit = latencyLimit();
    const ratio = data.baseline.latency_ms / limit;
    const times = ratio >= 1 ? `${ratio.toFixed(1)}x faster` : `${(1 / ratio).toFixed(1)}x slower`;
    const allowed = `${Number(drop.value).toFixed(1)} pt`;
    const target = Number(latency.value) === steps ? "any" : `${word(limit, 3)} ms or less, ${times}`;
    get("drop-value").textContent = allowed;
    get("latency-value").textContent = target;
    drop.setAttribute("aria-valuetext", allowed);
    latency.setAttribute("aria-valuetext", target);
  }

  const keepsDrop = (member) => member.values.accuracy_drop <= Number(drop.value) + EPSILON;
  const keepsLatency = (member) => member.values.latency_ms <= latencyLimit() * (1 + EPSILON);

  function choose() {
    label();
    const within = data.members.filter((member) => keepsDrop(member) && keepsLatency(member));
    const cost = (member) => member.values[wish.value];
    const best = within.reduce((a, b) => (a === null || cost(b) < cost(a) ? b : a), null);
    if (best === null) showNone();
    else if (within.length === 1) show(best, "The only one within both limits");
    else show(best, `The ${wish.selectedOptions[0].textContent} of ${within.length} within both limits`);
    drawLimits();
  }

  function showNone() {
    const least = (members, name) => Math.min(...members.map((member) => member.values[name]));
    const fast = data.members.filter(keepsLatency);
    const exact = data.members.filter(keepsDrop);
    const parts = [];
    if (fast.length) parts.push(`As fast as this, the least loss is ${word(least(fast, "accuracy_drop"), 2)} pt`);
    if (exact.length) parts.push(`At this loss, the fastest takes ${word(least(exact, "latency_ms"), 3)} ms`);
    shown = null;
    get("choice").replaceChildren(
      make("p", "No network of the front keeps both limits.", "headline"),
      make("p", parts.length ? `${parts.join(". ")}.` : "Neither limit can be kept.", "note"),
    );
    get("choice-layers").replaceChildren();
    mark();
  }

  function show(member, reason) {
    shown = member;
    const heading = make("p", [make("strong", `#${member.number}`), ` ${member.title}`], "headline");
    const notes = member.notes.map((note) => make("p", `${note}.`, "note warn"));
    get("choice").replaceChildren(make("p", `${reason}:`, "note"), heading, ...notes, scores(member), handOut(member));
    get("choice-layers").replaceChildren(layers(member));
    mark();
  }

  function row(cells, tag = "td") {
    return make("tr", cells.map((cell, i) => {
      const element = make(i === 0 ? "th" : tag, cell);
      if (i === 0) element.scope = "row";
      return element;
    }));
  }

  function head(titles) {
    return make("thead", make("tr", titles.map((title) => {
      const cell = make("th", title);
      cell.scope = "col";
      return cell;
    })));
  }

  function scrolling(table) {
    const box = make("div", table, "scroll");
    box.tabIndex = 0; // or what is out of view could be reached by mouse only
    return box;
  }

  const value = (score) => [score.value || "–", ...(score.interval ? [make("small", score.interval)] : [])];

  function scores(member) {
    const rows = member.scores
      .map((score, i) => [score, data.baseline.scores[i]])
      .filter(([score, base]) => score.value || base.value)
      .map(([score, base]) => row([score.name, value(score), value(base)]));
    const table = make("table", [head(["score", `#${member.number}`, "baseline"]), make("tbody", rows)], "numbers");
    return scrolling(table);
  }

  function handOut(member) {
    const copy = make("button", "Copy");
    copy.type = "button";
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(member.command);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(copy.previousElementSibling); // without the right to copy it is selected
      }
    });
    const parts = [make("code", member.command), copy];
    if (member.file) {
      const link = make("a", "the file");
      link.href = member.file.split("/").map(encodeURIComponent).join("/");
      parts.push(make("span", ["or take ", link]));
    }
    return make("p", parts, "export");
  }

  function bar(us, most, className) {
    const length = make("i", "", className);
    length.style.width = `${(100 * us) / most}%`;
    return length;
  }

  function layers(member) {
    const isTimed = data.layers[0].us !== null && member.layers[0].us !== null;
    const most = Math.max(...data.layers.map((layer) => layer.us), ...member.layers.map((layer) => layer.us), EPSILON);
    const isWorth = (layer, i) => i < data.layers.length - 1 || (isTimed && layer.us + member.layers[i].us > 0);
    const rows = data.layers.filter(isWorth).map((layer, i) => {
      const done = member.layers[i];
      const name = [layer.name, make("small", layer.facts)];
      const unchanged = i < data.layers.length - 1 ? "unchanged" : ""; // the last row is no layer
      const cells = [name, make("span", done.words || unchanged, done.words ? "" : "soft")];
      if (!isTimed) return row(cells);
      const bars = make("span", [bar(layer.us, most, "before"), bar(done.us, most, "after")], "track");
      bars.setAttribute("aria-hidden", "true");
      return row([...cells, word(layer.us, 2), done.us > 0 || layer.us === 0 ? word(done.us, 2) : "gone", bars]);
    });
    const titles = ["layer", "what was done", ...(isTimed ? ["before, µs", "after, µs", "beside each other"] : [])];
    const table = make("table", [head(titles), make("tbody", rows)], "layers");
    const caption = make("h3", `What #${member.number} does to each layer`);
    return make("div", [caption, scrolling(table)]);
  }

  // Where the picture of the front shows the choice and the limits.
  function mark() {
    document.querySelectorAll("[data-pick]").forEach((button) => {
      const isShown = shown !== null && Number(button.dataset.pick) === shown.number;
      button.setAttribute("aria-pressed", String(isShown));
      button.closest("tr").classList.toggle("chosen", isShown);
    });
    const slot = get("front-figure");
    if (!slot.data) return; // not drawn yet: `prepare` will do it
    const place = placeOf(slot.data);
    const ring = slot.data.findIndex((trace) => trace.name === RING);
    Plotly.restyle(slot, { x: [place.x], y: [place.y] }, [ring]);
  }

  // Where the shown member lies in the picture, as the points of a trace; none where it is not there.
  function placeOf(traces) {
    const points = traces.flatMap((trace) =>
      (trace.customdata || []).map((number, i) => ({ number, x: trace.x[i], y: trace.y[i] })),
    );
    const found = points.find((point) => shown !== null && point.number === shown.number);
    return { x: found ? [found.x] : [], y: found ? [found.y] : [] };
  }

  function drawLimits() {
    const slot = get("front-figure");
    if (slot.layout) Plotly.relayout(slot, limitsOn(slot.layout));
  }

  function limitsOn(layout) {
    const allowed = Number(drop.value);
    const shapes = (layout.shapes || []).map((shape) => ({ ...shape }));
    const notes = (layout.annotations || []).map((note) => ({ ...note }));
    const line = shapes.find((shape) => shape.name === "drop-limit");
    const note = notes.find((each) => each.name === "drop-limit");
    if (line && note) {
      const y = data.limits.reference - allowed;
      Object.assign(line, { y0: y, y1: y });
      Object.assign(note, { y, text: `${allowed.toFixed(1)} pt lost` });
    }
    const others = shapes.filter((shape) => shape.name !== "latency-limit");
    if (data.main_is_latency && Number(latency.value) < steps) {
      const x = latencyLimit();
      const style = { color: "rgba(128, 136, 146, 0.5)", width: 1, dash: "dot" };
      others.push({ name: "latency-limit", type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: style });
    }
    return { shapes: others, annotations: notes };
  }

  function prepare(figure) {
    const marker = { symbol: "circle-open", size: 26, color: "#d55e00", line: { width: 2.5 } };
    const style = { name: RING, mode: "markers", hoverinfo: "skip", showlegend: false, marker };
    figure.data.push({ ...placeOf(figure.data), ...style });
    Object.assign(figure.layout, limitsOn(figure.layout));
  }

  function pickByHand(number) {
    const member = data.members.find((each) => each.number === number);
    if (member) show(member, "Chosen by hand");
    return member;
  }

  let pending = 0;
  const chooseSoon = () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(choose);
  };
  [drop, latency].forEach((slider) => slider.addEventListener("input", chooseSoon));
  wish.addEventListener("change", choose);
  document.querySelectorAll("[data-pick]").forEach((button) =>
    button.addEventListener("click", () => {
      pickByHand(Number(button.dataset.pick));
      get("which").scrollIntoView({ block: "start" });
    }),
  );
  figures.beforeDrawing("front-figure", prepare);
  figures.onDrawn((slot) => {
    if (slot.id !== "front-figure") return;
    slot.on("plotly_click", (event) => pickByHand(event.points[0].customdata));
    // For whoever measures how soon the page can be used: milliseconds until its picture was painted.
    requestAnimationFrame(() => (document.documentElement.dataset.ready = String(performance.now())));
  });
  choose();
})();
