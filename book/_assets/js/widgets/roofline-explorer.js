/* A point under the measured roof: phase, batch and number of tokens.
 *
 * Data (from the chapter): {phases, batches, contexts, roof: {peak_flops, bandwidth_bytes, ridge}, intensity, attainable, seconds, bound: each
 * [phase][batch][context], start: [p, b, c]}. Every number shown is read from the tables.
 */
(() => {
  const { svg, slider, choice, facts, fitted, sweep, help, start } = window.CourseWidgets;
  const MOST = 560, HEIGHT = 260, LEFT = 56, BOTTOM = 38, TOP = 22, RIGHT = 12;

  const axes = (roof, intensities, width) => {
    const x = [Math.min(...intensities, roof.ridge / 8), Math.max(...intensities, roof.ridge * 8)];
    const y = [Math.min(x[0] * roof.bandwidth_bytes, roof.peak_flops / 8) / 2, roof.peak_flops * 2];
    const along = (value, [low, high]) => Math.log(value / low) / Math.log(high / low);
    return {
      x, y,
      px: (value) => LEFT + along(value, x) * (width - LEFT - RIGHT),
      py: (value) => HEIGHT - BOTTOM - along(value, y) * (HEIGHT - BOTTOM - TOP),
    };
  };

  /* 1, 10, 100; where there are few of them 1, 2, 5, 10. */
  const ticksOf = ([low, high]) => {
    const steps = high / low < 1000 ? [1, 2, 5] : [1];
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) steps.forEach((step) => found.push(Number((step * 10 ** power).toPrecision(3))));
    return found.filter((value) => value >= low && value <= high);
  };

  const label = (x, y, text, anchor = "middle") => svg("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "currentColor" }, text);

  const plot = (roof, axis, intensity, attainable, width) => {
    const { px, py, x, y } = axis;
    const ticks = [
      ...ticksOf(x).map((value) => label(px(value), HEIGHT - BOTTOM + 14, String(value))),
      ...ticksOf(y).map((value) => label(LEFT - 6, py(value) + 4, String(Number((value / 1e9).toPrecision(3))), "end")),
    ];
    const corner = [[x[0], x[0] * roof.bandwidth_bytes], [roof.ridge, roof.peak_flops], [x[1], roof.peak_flops]];
    const line = corner.map(([a, b]) => `${px(a)},${py(b)}`).join(" ");
    return [
      ...ticks,
      label((LEFT + width) / 2, HEIGHT - 4, "FLOP per byte"),
      label(4, TOP - 8, "GFLOP/s", "start"),
      svg("polyline", { points: line, fill: "none", stroke: "currentColor", "stroke-width": 2 }),
      svg("line", { x1: px(roof.ridge), x2: px(roof.ridge), y1: py(roof.peak_flops), y2: HEIGHT - BOTTOM, stroke: "currentColor", "stroke-dasharray": "3 4", opacity: 0.6 }),
      svg("circle", { cx: px(intensity), cy: py(attainable), r: 7, class: "roofline-point" }),
    ];
  };

  start("roofline-explorer", (data, id, root) => {
    const [p0, b0, c0] = data.start;
    const chosen = (table) => table[phase.value()][batch.value()][context.value()];
    const draw = () => {
      outputs.intensity.textContent = chosen(data.intensity).toFixed(2);
      outputs.attainable.textContent = `${(chosen(data.attainable) / 1e9).toFixed(2)} GFLOP/s`;
      outputs.seconds.textContent = `${(1e3 * chosen(data.seconds)).toFixed(2)} ms`;
      outputs.bound.textContent = chosen(data.bound);
      picture.redraw();
    };
    const phase = choice(`${id}-phase`, "Phase", data.phases, p0, () => draw());
    const batch = slider(`${id}-batch`, "Sequences in the batch", data.batches, b0, String, () => draw());
    const context = slider(`${id}-context`, "Tokens per sequence", data.contexts, c0, String, () => draw());
    const { box, outputs } = facts({ intensity: "FLOP per byte", attainable: "Attainable", seconds: "Least time of the pass", bound: "Bound by" });
    const picture = fitted(MOST, (width) => {
      const axis = axes(data.roof, data.intensity.flat(2), width);
      return { parts: plot(data.roof, axis, chosen(data.intensity), chosen(data.attainable), width), height: HEIGHT };
    });
    draw();
    return [phase.row, batch.row, context.row, sweep(root, batch, draw), box, picture.frame,
      help("The line is the roof of the machine that built this page, the dashed one its ridge. In decode a sequence has that many tokens behind it; in prefill it is read whole. Play, or P, doubles the batch again and again.")];
  });
})();
