/* One grid of weights under three masks of one sparsity: single weights, n of each four neighbours, whole columns.
 *
 * Data (from the chapter): {sparsities, weights[row][column], masks[way][sparsity][row] as strings of 0 and 1, names, speed[way][sparsity] (null: none),
 * kept[way][sparsity], start}. Every number shown is read from the tables.
 */
(() => {
  const { svg, slider, facts, fitted, sweep, help, start } = window.CourseWidgets;
  const MOST = 640, GAP = 30, TOP = 20;

  start("pruning-masks", (data, id, root) => {
    const rows = data.weights.length, columns = data.weights[0].length;
    const largest = Math.max(...data.weights.flat().map(Math.abs));
    const plot = (width) => {
      const cell = Math.min(22, (width - 2) / columns);
      const parts = data.names.flatMap((name, way) => {
        const top = TOP + way * (rows * cell + GAP);
        const mask = data.masks[way][which.value()];
        const words = svg("text", { x: 1, y: top - 6, "font-size": 13, fill: "currentColor" }, name);
        const cells = data.weights.flatMap((line, i) => line.map((weight, j) => {
          const kept = mask[i][j] === "1";
          return svg("rect", { x: 1 + j * cell, y: top + i * cell, width: cell - 1.5, height: cell - 1.5, class: `mask-cell${kept ? " is-kept" : ""}`,
            style: kept ? `fill: var(--role-target); fill-opacity: ${(0.15 + 0.85 * Math.abs(weight) / largest).toFixed(2)}` : "fill: none; stroke: currentColor; stroke-opacity: 0.25" });
        }));
        return [words, ...cells];
      });
      return { parts, height: TOP + data.names.length * (rows * cell + GAP) - 8 };
    };
    const draw = () => {
      const at = which.value();
      data.names.forEach((_, way) => {
        const speed = data.speed[way][at];
        outputs[`way${way}`].textContent = speed === null ? "no such mask" : `${speed.toFixed(2)} x`;
        outputs[`kept${way}`].textContent = `${(100 * data.kept[way][at]).toFixed(0)} %`;
      });
      picture.redraw();
    };
    const which = slider(`${id}-sparsity`, "Sparsity", data.sparsities, data.start, (share) => `${(100 * share).toFixed(1)} %`, () => draw());
    const entries = data.names.flatMap((name, way) => [[`way${way}`, `${name}: speed`], [`kept${way}`, "magnitude kept"]]);
    const { box, outputs } = facts(Object.fromEntries(entries));
    const picture = fitted(MOST, plot);
    draw();
    return [which.row, sweep(root, which, draw), box, picture.frame,
      help("Filled cells stay; darker is larger. Speeds were measured: a dense product's time over that of the pruned one. Arrow keys move the slider, P plays.")];
  });
})();
