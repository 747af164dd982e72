/* A picture cut into patches: point at one and see its pixels, its vector, and what it attends to, layer by layer.
 *
 * Data (from book_tools.patches): {image, grid, patch, vectors, attention, rollout, relevance, chances}. attention[l][i][j] is how much token i looks at
 * token j in layer l, in thousandths, token 0 the class token; rollout[l] the same over layers 1 to l; relevance[name][j] of the largest; vectors[j] in twentieths of its largest number.
 * All of it comes from lib; nothing is computed here but where to draw a square.
 */
(() => {
  const { el, svg, slider, choice, facts, speaker, stepper, help, start } = window.CourseWidgets;
  const CELL = 30, PIXELS = 96;

  start("patch-explorer", (data, id, root) => {
    const count = data.grid * data.grid, side = data.grid * CELL;
    const names = Object.keys(data.relevance);
    const modes = ["Attention of the layer", "Rollout up to the layer", ...names.map((name) => `Relevance for “${name}”`)];
    let token = 1 + data.grid;

    const picture = svg("svg", { class: "widget-plot patch-picture", role: "img", viewBox: `0 0 ${side} ${side}`, style: "max-width: 20rem; touch-action: manipulation" });
    const squares = Array.from({ length: count }, (_, patch) => svg("rect", { class: "patch-square", width: CELL, height: CELL,
      x: (patch % data.grid) * CELL, y: Math.floor(patch / data.grid) * CELL, fill: "#d0690b", stroke: "currentColor", "stroke-opacity": 0.35, "stroke-width": 0.6 }));
    picture.append(svg("image", { href: data.image, width: side, height: side, style: "image-rendering: pixelated" }), ...squares);
    squares.forEach((square, patch) => {
      square.addEventListener("pointerenter", () => go(patch + 1));
      square.addEventListener("click", () => go(patch + 1));
    });

    const zoom = svg("svg", { class: "widget-plot patch-zoom", role: "img", viewBox: `0 0 ${PIXELS} ${PIXELS}`, style: "max-width: 7rem; min-width: 0" });
    const zoomed = svg("image", { href: data.image, width: data.grid * PIXELS, height: data.grid * PIXELS, style: "image-rendering: pixelated" });
    zoom.append(zoomed);
    const width = data.vectors[0].length;
    const vector = svg("svg", { class: "widget-plot patch-vector", role: "img", viewBox: `0 0 ${width * 2} 40`, preserveAspectRatio: "none", style: "max-width: 20rem; min-width: 0; height: 2.5rem" });
    const bars = Array.from({ length: width }, (_, i) => svg("rect", { x: i * 2, width: 1.6, fill: "#2f7fd1" }));
    vector.append(svg("path", { d: `M0,20 H${width * 2}`, stroke: "currentColor", "stroke-width": 0.4 }), ...bars);

    const mode = choice(`${id}-mode`, "Show", modes, 0, () => draw());
    const layers = data.attention.map((_, i) => i);
    const layer = slider(`${id}-layer`, "Layer", layers, 0, (value) => String(value + 1), () => draw());
    const { box, outputs } = facts({ patch: "Patch", self: "on itself", class: "on the class token", top: "most on patch" }, false);
    const say = speaker();

    const go = (target) => { token = Math.max(0, Math.min(count, target)); draw(); };
    const toLayer = (value) => { layer.set(value); draw(); };
    const layersOneByOne = { next: () => toLayer(layer.value() + 1), first: () => toLayer(0), ended: () => layer.value() === layers.length - 1 };
    const moves = { class: ["Class token", () => go(0)], back: ["← Patch", () => go(token - 1)], next: ["Patch →", () => go(token + 1)] };
    const controls = stepper(root, moves, { ArrowRight: () => go(token + 1), ArrowLeft: () => go(token - 1),
      ArrowDown: () => go(token + data.grid), ArrowUp: () => go(token - data.grid), Home: () => go(0), End: () => go(count) }, layersOneByOne);
    const mark = () => controls.mark({ class: token === 0, back: token === 0, next: token === count });

    const draw = () => {
      const shown = mode.value(), which = layer.value();
      const row = shown === 0 ? data.attention[which][token] : shown === 1 ? data.rollout[which][token] : [0, ...data.relevance[names[shown - 2]]];
      const patches = row.slice(1), most = Math.max(...patches, 1), top = patches.indexOf(Math.max(...patches));
      squares.forEach((square, patch) => {
        square.setAttribute("fill-opacity", (0.8 * patches[patch] / most).toFixed(3));
        square.setAttribute("data-value", patches[patch]);
        const now = patch + 1 === token;
        square.setAttribute("stroke-width", now ? 3 : 0.6);
        square.setAttribute("stroke-opacity", now ? 1 : 0.35);
      });
      const patch = token - 1, [y, x] = [Math.floor(patch / data.grid), patch % data.grid];
      zoomed.setAttribute("visibility", token ? "visible" : "hidden");
      zoomed.setAttribute("x", -x * PIXELS);
      zoomed.setAttribute("y", -y * PIXELS);
      const numbers = token ? data.vectors[patch] : Array(width).fill(0);
      const tall = Math.max(...numbers.map(Math.abs), 1);
      bars.forEach((bar, i) => { const height = 19 * Math.abs(numbers[i]) / tall; bar.setAttribute("height", height); bar.setAttribute("y", numbers[i] > 0 ? 20 - height : 20); });
      const relevance = shown > 1;
      outputs.patch.textContent = token ? `${token} (row ${y + 1}, column ${x + 1})` : "class token";
      outputs.self.textContent = relevance ? "–" : `${(row[token] / 10).toFixed(1)} %`;
      outputs.class.textContent = relevance ? "–" : `${(row[0] / 10).toFixed(1)} %`;
      outputs.top.textContent = String(top + 1);
      say.textContent = relevance
        ? `What the logit of “${names[shown - 2]}” (probability ${data.chances[names[shown - 2]].toFixed(2)}) rests on: most on patch ${top + 1}.`
        : `${token ? `Patch ${token}` : "The class token"} ${shown ? `after layers 1 to ${which + 1} is made of` : `in layer ${which + 1} looks at`} the shaded patches, most of all patch ${top + 1}.`;
      picture.setAttribute("aria-label", say.textContent);
      zoom.setAttribute("aria-label", token ? `The ${data.patch} by ${data.patch} pixels of patch ${token}` : "The class token has no pixels");
      vector.setAttribute("aria-label", token ? `The ${width} numbers of patch ${token} with its position` : "The class token's vector is learned");
      mark();
    };
    draw();
    const details = el("div", { style: "display: flex; gap: 1rem; align-items: center; flex-wrap: wrap; margin-top: 0.75rem" }, zoom, vector);
    return [mode.row, layer.row, controls.row, say, picture, details, box,
      help("Point at a patch, or tap it. Below the picture: its pixels, and its vector as the first block reads it. Keys, once a button has the focus: arrows move by a patch, Home is the class token, P plays the layers.")];
  });
})();
