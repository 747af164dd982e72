/* What the widgets are built from. Loaded before them, on every page that holds one. */
window.CourseWidgets = (() => {
  const el = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };

  const svg = (tag, attributes = {}, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    node.append(...children);
    return node;
  };

  /* A labelled slider over a list of values. */
  const slider = (id, label, values, start, show, onchange) => {
    const input = el("input", { type: "range", id, min: 0, max: values.length - 1, step: 1, value: start });
    const output = el("output", { htmlFor: id });
    const update = () => {
      output.textContent = show(values[input.value]);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    const set = (value) => { input.value = value; update(); };
    const setMax = (max) => { input.max = max; update(); };  // the browser lowers the value; its label must follow
    input.addEventListener("input", () => { update(); onchange(); });
    input.addEventListener("keydown", (event) => event.stopPropagation());
    update();
    return { input, set, setMax, value: () => Number(input.value), row: el("div", { className: "explorer-slider" }, el("label", { htmlFor: id, textContent: label }), input, output) };
  };

  /* A group of radio buttons over a list of names. */
  const choice = (id, label, names, start, onchange) => {
    const inputs = names.map((name, i) => el("input", { type: "radio", name: id, id: `${id}-${i}`, value: i, checked: i === start }));
    inputs.forEach((input) => {
      input.addEventListener("change", onchange);
      input.addEventListener("keydown", (event) => event.stopPropagation());
    });
    const options = inputs.map((input, i) => el("span", { className: "widget-option" }, input, el("label", { htmlFor: input.id, textContent: names[i] })));
    return { inputs, value: () => inputs.findIndex((input) => input.checked),
      row: el("fieldset", { className: "widget-choice" }, el("legend", { textContent: label }), ...options) };
  };

  /* Named numbers, read out when they change, unless a sentence beside them says it already. */
  const facts = (entries, spoken = true) => {
    const outputs = Object.fromEntries(Object.keys(entries).map((name) => [name, el("output", { className: `fact-${name}` })]));
    const cells = Object.entries(entries).map(([name, label]) => el("div", {}, el("span", { textContent: label }), outputs[name]));
    const box = el("div", { className: "stepper-counters" }, ...cells);
    if (spoken) { box.setAttribute("aria-live", "polite"); box.dataset.spoken = ""; }
    return { box, outputs };
  };

  /* A drawing that is drawn anew for the room that it has: `draw(width)` gives its nodes and its height. Its text never shrinks. */
  const fitted = (most, draw) => {
    const picture = svg("svg", { class: "widget-plot", "aria-hidden": "true" });
    const frame = el("div", { className: "widget-fitted" }, picture);
    const redraw = () => {
      const width = Math.min(most, frame.clientWidth || most);
      const { parts, height } = draw(width);
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      picture.style.maxWidth = `${width}px`;
      picture.replaceChildren(...parts);
    };
    new ResizeObserver(redraw).observe(frame);
    return { frame, redraw };
  };

  /* Lines of code; `mark(lines, notes)` lights some of them and writes values beside them. */
  const listing = (lines) => {
    const rows = lines.map((line) => el("div", { className: "code-line" }, el("code", { textContent: line }), el("span", { className: "code-value" })));
    const mark = (lit, notes = {}) => rows.forEach((row, i) => {
      row.classList.toggle("is-lit", lit.includes(i));
      row.lastChild.textContent = notes[i] ?? "";
    });
    return { box: el("div", { className: "widget-code" }, ...rows), mark };
  };

  /* A drawing that may be wider than a phone: it scrolls, by keyboard too. */
  const scroll = (label, picture) => el("div", { className: "widget-scroll", tabIndex: 0, role: "region", ariaLabel: label }, picture);

  /* A button that plays: a step each `seconds`, until the end, or until anything else in the widget is used. */
  const player = (root, { next, ended, first }, seconds = 1) => {
    const button = el("button", { type: "button", className: "stepper-button-play", textContent: "▶ Play" });
    let timer = null;
    const spoken = (value) => root.querySelectorAll("[data-spoken]").forEach((part) => part.setAttribute("aria-live", value));
    const stop = () => {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      button.textContent = "▶ Play";
      spoken("polite");
    };
    const step = () => (ended() ? stop() : next());
    const toggle = () => {
      if (timer !== null) return stop();
      spoken("off");  // a sentence a second would be too much to listen to
      button.textContent = "❚❚ Pause";
      if (ended()) first();
      else next();
      timer = setInterval(step, 1000 * seconds);
    };
    button.addEventListener("click", toggle);
    root.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() === "p" && !event.ctrlKey && !event.metaKey) { event.stopPropagation(); toggle(); }
      else if (event.key !== "Tab" && !(event.target === button && [" ", "Enter"].includes(event.key))) stop();
    }, true);
    root.addEventListener("pointerdown", (event) => event.target !== button && stop());
    return button;
  };

  /* A player that moves a slider from its left end to its right one. */
  const sweep = (root, control, draw, seconds = 0.8) => {
    const to = (value) => { control.set(value); draw(); };
    const button = player(root, { next: () => to(control.value() + 1), first: () => to(0), ended: () => control.value() >= Number(control.input.max) }, seconds);
    return el("div", { className: "stepper-controls" }, button);
  };

  /* A sentence that is read out when it changes. */
  const speaker = () => {
    const say = el("p", { className: "stepper-say" });
    say.setAttribute("aria-live", "polite");
    say.dataset.spoken = "";
    return say;
  };

  /* Buttons for the moves of a stepper, {name: [label, move]}, a button that plays, and keys for them within `root`. A button that
   * leads nowhere is marked so and does nothing; really disabled, it would lose the focus, and with it the keys. */
  const stepper = (root, moves, keys, play, seconds = 1) => {
    const off = (button) => button.getAttribute("aria-disabled") === "true";
    const buttons = Object.fromEntries(Object.entries(moves).map(([name, [label, move]]) => {
      const button = el("button", { type: "button", textContent: label, className: `stepper-button-${name}` });
      button.addEventListener("click", () => off(button) || move());
      return [name, button];
    }));
    root.addEventListener("keydown", (event) => {
      const move = keys[event.key];
      if (!move) return;
      event.preventDefault();
      event.stopPropagation();
      move();
    });
    const mark = (leadsNowhere) => Object.entries(buttons).forEach(([name, button]) => button.setAttribute("aria-disabled", String(leadsNowhere[name])));
    return { row: el("div", { className: "stepper-controls" }, player(root, play, seconds), ...Object.values(buttons)), mark };
  };

  const help = (text) => el("p", { className: "widget-help", textContent: text });

  /* Build every widget of a name: `build(data, id, root)` gives the nodes that take the place of the static version. */
  const start = (name, build) => {
    const run = () => document.querySelectorAll(`[data-widget="${name}"]`).forEach((root, index) => {
      const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
      root.querySelector(".widget-static").replaceWith(el("div", { className: "widget-live" }, ...build(data, `${name}-${index}`, root)));
    });
    document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", run) : run();
  };

  return { el, svg, slider, choice, facts, scroll, fitted, listing, player, sweep, speaker, stepper, help, start };
})();
