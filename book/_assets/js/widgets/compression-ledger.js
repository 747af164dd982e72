/* Every compressed model as a point: bytes across, held-out loss up; hover, focus or the arrow keys name it.
 *
 * Data (from the chapter): {points: [{name, bytes, loss, low, high, more, rate, front}], start}. Every number shown is read from it.
 */
(() => {
  const { svg, slider, facts, fitted, sweep, help, start } = window.CourseWidgets;
  const MOST = 640, HEIGHT = 320, LEFT = 52, RIGHT = 16, TOP = 14, BOTTOM = 42;

  start("compression-ledger", (data, id, root) => {
    const { points } = data;
    const sizes = points.map((point) => Math.log2(point.bytes));
    const [small, large] = [Math.min(...sizes) - 0.2, Math.max(...sizes) + 0.2];
    const [low, high] = [Math.min(...points.map((p) => p.low)), Math.max(...points.map((p) => p.high))];
    const text = (x, y, words, anchor) => svg("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "currentColor" }, words);

    const plot = (chosen, width) => {
      const px = (point) => LEFT + ((Math.log2(point.bytes) - small) / (large - small)) * (width - LEFT - RIGHT);
      const py = (loss) => HEIGHT - BOTTOM - ((loss - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
      const ticks = [2, 4, 8, 16, 32, 64].map((mb) => {
        const x = px({ bytes: mb * 1e6 });
        return x < LEFT || x > width - RIGHT ? "" : text(x, HEIGHT - BOTTOM + 18, `${mb} MB`, "middle");
      });
      const marks = [low, (low + high) / 2, high].map((loss) => text(LEFT - 6, py(loss) + 4, loss.toFixed(2), "end"));
      const front = points.filter((point) => point.front).sort((a, b) => a.bytes - b.bytes);
      const circles = points.map((point, i) => {
        const circle = svg("circle", { cx: px(point), cy: py(point.loss), r: i === chosen ? 8 : 5, class: `ledger-point${point.front ? " is-front" : ""}${i === chosen ? " is-chosen" : ""}` },
          svg("title", {}, point.name));
        circle.addEventListener("pointerenter", () => { which.set(i); draw(); });
        return circle;
      });
      return [...ticks, ...marks, text((LEFT + width - RIGHT) / 2, HEIGHT - 6, "bytes of the weights", "middle"),
        svg("polyline", { points: front.map((point) => `${px(point)},${py(point.loss)}`).join(" "), class: "ledger-front" }), ...circles];
    };

    let before = -1;
    const draw = () => {
      const point = points[which.value()];
      outputs.name.textContent = point.name;
      outputs.bytes.textContent = `${(point.bytes / 1e6).toFixed(1)} MB`;
      outputs.loss.textContent = `${point.loss.toFixed(3)} (${point.more >= 0 ? "+" : "−"}${Math.abs(point.more).toFixed(3)})`;
      outputs.rate.textContent = point.rate === null ? "no kernel here" : point.rate.toFixed(0);
      if (before !== which.value()) { before = which.value(); picture.redraw(); }
    };
    const which = slider(`${id}-which`, "Model", points.map((point) => point.name), data.start, (name) => `${points.findIndex((point) => point.name === name) + 1} of ${points.length}`, () => draw());
    const { box, outputs } = facts({ name: "Model", bytes: "Weights", loss: "Held-out loss (against fp32)", rate: "Tokens per second" });
    const picture = fitted(MOST, (width) => ({ parts: plot(which.value(), width), height: HEIGHT }));
    draw();
    return [which.row, sweep(root, which, draw), box, picture.frame,
      help("The line joins the models that no other one beats in both bytes and loss. Point at a model, or move the slider; P plays.")];
  });
})();
