/* The bytes of a KV cache for a model, a precision, a context and a batch, on logarithmic axes beside the memory of real GPUs.
 *
 * Data (from the chapter): {models, precisions, contexts, batches, bytes[model][precision][context][batch], memories: [[name, bytes]],
 * start: [m, p, c, b]}. Every number shown is read from the table, in the unit that suits it.
 */
(() => {
  const { svg, slider, choice, facts, fitted, sweep, help, start } = window.CourseWidgets;
  const MOST = 600, HEIGHT = 300, LEFT = 58, RIGHT = 14, TOP = 12, BOTTOM = 40;
  const UNITS = [["KiB", 2 ** 10], ["MiB", 2 ** 20], ["GiB", 2 ** 30], ["TiB", 2 ** 40]];

  const unitOf = (bytes) => UNITS.findLast(([, size]) => bytes >= size) ?? UNITS[0];
  const readable = (bytes, digits = 2) => `${(bytes / unitOf(bytes)[1]).toFixed(digits)} ${unitOf(bytes)[0]}`;
  const short = (count) => (count < 1024 ? String(count) : `${count / 1024}k`);
  const label = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "currentColor", class: "drawing-halo" }, text);

  /* Bytes on the upright axis, from 1 MiB (or what is least) up to what is most, in powers of 16. */
  const plot = (data, table, c, b, width) => {
    const all = data.bytes.flat(3);
    const [low, high] = [Math.min(...all), Math.max(...all)].map(Math.log2);
    const px = (i) => LEFT + (i / (data.contexts.length - 1)) * (width - LEFT - RIGHT);
    const py = (bytes) => HEIGHT - BOTTOM - ((Math.log2(bytes) - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
    const ticks = [];
    for (let power = Math.ceil(low / 5) * 5; power <= high; power += 5) {
      ticks.push(label(LEFT - 6, py(2 ** power) + 4, readable(2 ** power, 0), "end"));
      ticks.push(svg("line", { x1: LEFT, x2: width - RIGHT, y1: py(2 ** power), y2: py(2 ** power), class: "plot-grid" }));
    }
    data.contexts.forEach((context, i) => (i % (width < 480 ? 4 : 2) === 0 ? ticks.push(label(px(i), HEIGHT - BOTTOM + 16, short(context), "middle")) : null));
    const rules = data.memories.flatMap(([name, bytes], i) => [
      svg("line", { x1: LEFT, x2: width - RIGHT, y1: py(bytes), y2: py(bytes), class: "memory-rule" }),
      label(LEFT + 4 + (i * (width - LEFT - RIGHT)) / data.memories.length, py(bytes) - 5, width < 480 ? name.split(":")[0] : name, "start"),
    ]);
    const points = table.map((row, i) => [px(i), py(row[b])]);
    return [
      ...ticks, label((LEFT + width - RIGHT) / 2, HEIGHT - 6, "tokens per sequence", "middle"), ...rules,
      svg("polyline", { points: points.map((point) => point.join(",")).join(" "), class: "memory-line" }),
      ...points.map(([cx, cy], i) => svg("circle", { cx, cy, r: i === c ? 7 : 3, class: i === c ? "memory-point is-chosen" : "memory-point" })),
    ];
  };

  start("kv-memory-explorer", (data, id, root) => {
    const [m0, p0, c0, b0] = data.start;
    const table = () => data.bytes[model.value()][precision.value()];
    const draw = () => {
      const [c, b] = [context.value(), batch.value()];
      const total = table()[c][b];
      outputs.total.textContent = readable(total);
      outputs.sequence.textContent = readable(table()[c][0]);
      outputs.token.textContent = readable(table()[c][0] / data.contexts[c]);
      const roomy = data.memories.find(([, bytes]) => total <= bytes);
      outputs.fits.textContent = roomy ? roomy[0] : "none of these";
      picture.redraw();
    };
    const model = choice(`${id}-model`, "Model", data.models, m0, () => draw());
    const precision = choice(`${id}-precision`, "Elements as", data.precisions, p0, () => draw());
    const context = slider(`${id}-context`, "Tokens per sequence", data.contexts, c0, String, () => draw());
    const batch = slider(`${id}-batch`, "Sequences at a time", data.batches, b0, String, () => draw());
    const { box, outputs } = facts({ total: "All caches", sequence: "One sequence", token: "One token", fits: "Fits, without weights, into" });
    const picture = fitted(MOST, (width) => ({ parts: plot(data, table(), context.value(), batch.value(), width), height: HEIGHT }));
    draw();
    return [model.row, precision.row, context.row, batch.row, sweep(root, context, draw), box, picture.frame,
      help("Both axes are logarithmic: a step to the right doubles the tokens. Dashed: the memory of real GPUs, which the weights must share. Arrow keys move the sliders and the choices, P plays.")];
  });
})();
