"use strict";
// Unpacks Plotly once, then draws each figure when it comes into view, and all of them before the page is printed.
const figures = (() => {
  const OPTIONS = {
    responsive: true,
    displaylogo: false,
    // Plotly 7 offers to upload the chart unless told otherwise; a page stays where it is.
    showSendToCloud: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const PAPER_WIDTH = 690; // pixels on an A4 page with common margins
  const slots = [...document.querySelectorAll(".plot")];
  const drawn = new Set();
  const preparing = new Map();
  const listeners = [];

  function fromBase64(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text); // browsers since 2025; much quicker
    const packed = atob(text);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    return bytes;
  }

  async function unpack() {
    const bytes = fromBase64(document.getElementById("plotly").textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  function draw(slot) {
    if (drawn.has(slot)) return;
    drawn.add(slot);
    const figure = JSON.parse(document.getElementById(`${slot.id}-data`).textContent);
    if (preparing.has(slot.id)) preparing.get(slot.id)(figure);
    Plotly.newPlot(slot, figure.data, figure.layout, OPTIONS);
    listeners.forEach((listener) => listener(slot));
  }

  // Lets `prepare(figure)` change a figure before it is drawn, which is quicker than drawing it again.
  const beforeDrawing = (name, prepare) => preparing.set(name, prepare);

  // Calls `listener(slot)` for every figure once it is drawn, also for those that are drawn already.
  function onDrawn(listener) {
    listeners.push(listener);
    drawn.forEach((slot) => listener(slot));
  }

  function watch() {
    const observer = new IntersectionObserver(
      (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
      { rootMargin: "200px" },
    );
    slots.forEach((slot) => observer.observe(slot));
    if (slots.length) draw(slots[0]); // what the page is about, wherever the reader's window begins
  }

  let closed = [];
  function preparePaper() {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => details.setAttribute("open", ""));
    slots.forEach((slot) => {
      draw(slot);
      Plotly.relayout(slot, { width: PAPER_WIDTH });
    });
  }

  function leavePaper() {
    closed.forEach((details) => details.removeAttribute("open"));
    slots.forEach((slot) => Plotly.relayout(slot, { width: null, autosize: true }));
  }

  function addThemeSwitch() {
    const button = document.getElementById("theme");
    if (!button) return;
    let isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const show = () => (button.textContent = isDark ? "Light" : "Dark");
    button.addEventListener("click", () => {
      isDark = !isDark;
      document.documentElement.style.colorScheme = isDark ? "dark" : "light";
      show();
    });
    show();
  }

  function addOpenAll() {
    const button = document.getElementById("open-all");
    const sections = [...document.querySelectorAll("details.more")];
    if (!button) return;
    button.addEventListener("click", () => {
      const isOpening = sections.some((details) => !details.open);
      sections.forEach((details) => (details.open = isOpening));
      button.textContent = isOpening ? "Close all" : "Open all";
    });
  }

  addThemeSwitch();
  addOpenAll();
  unpack()
    .then(() => {
      watch();
      addEventListener("beforeprint", preparePaper);
      addEventListener("afterprint", leavePaper);
    })
    .catch((error) => {
      slots.forEach((slot) => (slot.textContent = `This browser cannot draw the figures (${error.message}).`));
      throw error;
    });

  return { beforeDrawing, onDrawn };
})();
