/* A point under the measured roof: phase, batch and number of tokens.
 *
 * Data (from the chapter): {phases, batches, contexts, roof: {peak_flops, bandwidth_bytes, ridge}, intensity, attainable, seconds, bound: each
 * [phase][batch][context], start: [p, b, c]}. Every number shown is read from the tables.
 */
(() => {
  const { svg, slider, choice, facts, scroll, help, start } = window.CourseWidgets;
  const WIDTH = 520, HEIGHT = 250, LEFT = 56, BOTTOM = 36, TOP = 12, RIGHT = 12;

  const axes = (roof, intensities) => {
    const x = [Math.min(...intensities, roof.ridge / 8), Math.max(...intensities, roof.ridge * 8)];
    const y = [Math.min(x[0] * roof.bandwidth_bytes, roof.peak_flops / 8) / 2, roof.peak_flops * 2];
    const along = (value, [low, high]) => Math.log(value / low) / Math.log(high / low);
    return {
      x, y,
      px: (value) => LEFT + along(value, x) * (WIDTH - LEFT - RIGHT),
      py: (value) => HEIGHT - BOTTOM - along(value, y) * (HEIGHT - BOTTOM - TOP),
    };
  };

  const powers = ([low, high]) => {
    const found = [];
    for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power += 1) found.push(10 ** power);
    return found;
  };

  const label = (x, y, text, anchor = "middle") => svg("text", { x, y, "text-anchor": anchor, "font-size": 11, fill: "currentColor" }, text);

  const plot = (roof, axis, intensity, attainable) => {
    const { px, py, x, y } = axis;
    const ticks = [
      ...powers(x).map((value) => label(px(value), HEIGHT - BOTTOM + 14, String(value))),
      ...powers(y).map((value) => label(LEFT - 6, py(value) + 4, String(value / 1e9), "end")),
    ];
    const corner = [[x[0], x[0] * roof.bandwidth_bytes], [roof.ridge, roof.peak_flops], [x[1], roof.peak_flops]];
    const line = corner.map(([a, b]) => `${px(a)},${py(b)}`).join(" ");
    return [
      ...ticks,
      label((LEFT + WIDTH) / 2, HEIGHT - 4, "FLOP per byte"),
      label(LEFT - 44, TOP + 6, "GFLOP/s", "start"),
      svg("polyline", { points: line, fill: "none", stroke: "currentColor", "stroke-width": 2 }),
      svg("line", { x1: px(roof.ridge), x2: px(roof.ridge), y1: py(roof.peak_flops), y2: HEIGHT - BOTTOM, stroke: "currentColor", "stroke-dasharray": "3 4", opacity: 0.6 }),
      svg("circle", { cx: px(intensity), cy: py(attainable), r: 7, class: "roofline-point" }),
    ];
  };

  start("roofline-explorer", (data, id) => {
    const axis = axes(data.roof, data.intensity.flat(2));
    const [p0, b0, c0] = data.start;
    const draw = () => {
      const [p, b, c] = [phase, batch, context].map((part) => part.value());
      const at = (table) => table[p][b][c];
      outputs.intensity.textContent = at(data.intensity).toFixed(2);
      outputs.attainable.textContent = `${(at(data.attainable) / 1e9).toFixed(2)} GFLOP/s`;
      outputs.seconds.textContent = `${(1e3 * at(data.seconds)).toFixed(2)} ms`;
      outputs.bound.textContent = at(data.bound);
      picture.replaceChildren(...plot(data.roof, axis, at(data.intensity), at(data.attainable)));
    };
    const phase = choice(`${id}-phase`, "Phase", data.phases, p0, () => draw());
    const batch = slider(`${id}-batch`, "Texts in the batch", data.batches, b0, String, () => draw());
    const context = slider(`${id}-context`, "Tokens of a text", data.contexts, c0, String, () => draw());
    const { box, outputs } = facts({ intensity: "FLOP per byte", attainable: "Attainable", seconds: "Least time of the pass", bound: "Bound by" });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "widget-plot", "aria-hidden": "true" });
    draw();
    return [phase.row, batch.row, context.row, box, scroll("Drawing of the roofline", picture),
      help("The line is the roof of the machine that built this page, the dashed one its ridge. In decode a text has that many tokens behind it; in prefill it is read whole.")];
  });
})();
