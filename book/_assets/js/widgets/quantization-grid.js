/* Sixteen levels over the weights of one layer, each weight over its block's scale: NF4 and four uniform bits.
 *
 * Data (from the chapter): {grids, blocks, outliers, levels[grid], edges, shares[outlier][block][bin], error[grid][outlier][block],
 * bits[block], start: [g, b, o]}. Every number shown is read from the tables.
 */
(() => {
  const { svg, slider, choice, facts, fitted, sweep, help, start } = window.CourseWidgets;
  const MOST = 600, HEIGHT = 230, SIDE = 12, TOP = 10, BOTTOM = 34;

  const plot = (data, grid, shares, width) => {
    const px = (value) => SIDE + ((value + 1) / 2) * (width - 2 * SIDE);
    const highest = Math.max(...shares);
    const py = (share) => HEIGHT - BOTTOM - (share / highest) * (HEIGHT - BOTTOM - TOP);
    const bars = shares.map((share, i) => svg("rect", {
      x: px(data.edges[i]), width: px(data.edges[i + 1]) - px(data.edges[i]) - 1, y: py(share), height: HEIGHT - BOTTOM - py(share), class: "grid-share",
    }));
    const rules = data.levels[grid].map((level) => svg("line", { x1: px(level), x2: px(level), y1: TOP, y2: HEIGHT - BOTTOM + 6, class: "grid-level" }));
    const names = [-1, -0.5, 0, 0.5, 1].map((value) => svg("text", {
      x: px(value), y: HEIGHT - 6, "text-anchor": value === -1 ? "start" : value === 1 ? "end" : "middle", "font-size": 12, fill: "currentColor",
    }, String(value)));
    return [...bars, ...rules, ...names];
  };

  start("quantization-grid", (data, id, root) => {
    const [g0, b0, o0] = data.start;
    const draw = () => {
      const [g, b, o] = [grid.value(), block.value(), outlier.value()];
      const error = (which) => data.error[which][o][b];
      outputs.error.textContent = `${(100 * error(g)).toFixed(2)} %`;
      outputs.other.textContent = `${(100 * error(1 - g)).toFixed(2)} %`;
      outputs.bits.textContent = data.bits[b].toFixed(3);
      outputs.used.textContent = `${(100 * data.shares[o][b][(data.edges.length - 2) / 2]).toFixed(1)} %`;
      picture.redraw();
    };
    const grid = choice(`${id}-grid`, "Levels", data.grids, g0, () => draw());
    const block = slider(`${id}-block`, "Weights that share a scale", data.blocks, b0, String, () => draw());
    const outlier = slider(`${id}-outlier`, "Outlier, in standard deviations", data.outliers, o0, (v) => (v ? String(v) : "none"), () => draw());
    const { box, outputs } = facts({ error: "Relative error", other: "With the other levels", bits: "Bits per weight, with scales", used: "Weights in the middle bin" });
    const picture = fitted(MOST, (width) => ({ parts: plot(data, grid.value(), data.shares[outlier.value()][block.value()], width), height: HEIGHT }));
    draw();
    return [grid.row, block.row, outlier.row, sweep(root, block, draw), box, picture.frame,
      help("Bars: where the weights lie between minus and plus their block's largest. Lines: the levels. An outlier every 4,096 weights squeezes its whole block into the middle. Arrow keys move the sliders, P plays.")];
  });
})();
