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
    input.addEventListener("input", () => { update(); onchange(); });
    input.addEventListener("keydown", (event) => event.stopPropagation());
    update();
    return { input, set, value: () => Number(input.value), row: el("div", { className: "explorer-slider" }, el("label", { htmlFor: id, textContent: label }), input, output) };
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
    if (spoken) box.setAttribute("aria-live", "polite");
    return { box, outputs };
  };

  /* A drawing that may be wider than a phone: it scrolls, by keyboard too. */
  const scroll = (label, picture) => el("div", { className: "widget-scroll", tabIndex: 0, role: "region", ariaLabel: label }, picture);

  /* Buttons for the moves of a stepper, {name: [label, move]}, and keys for them within `root`. A button that leads nowhere is marked
   * so and does nothing; really disabled, it would lose the focus, and with it the keys. */
  const stepper = (root, moves, keys) => {
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
    return { row: el("div", { className: "stepper-controls" }, ...Object.values(buttons)), mark };
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

  return { el, svg, slider, choice, facts, scroll, stepper, help, start };
})();
