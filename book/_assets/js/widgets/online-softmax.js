/* Walks through an online softmax tile by tile.
 *
 * Data (from the chapter): {scores, values, widths, start, walks}; walks[w] holds a record {start, stop, m, l, a, shrink, out, lse} for each tile
 * of widths[w] keys, all from lib's absorb and finish. Nothing is computed here but which record to show.
 */
(() => {
  const { el, slider, facts, stepper, help, start } = window.CourseWidgets;
  const number = (value) => value.toFixed(3).replace("-", "−");
  const keys = (tile) => (tile.stop - tile.start === 1 ? `key ${tile.stop}` : `keys ${tile.start + 1} to ${tile.stop}`);

  /* What happened at step n: 0 is before the first tile. */
  const sentence = (tiles, step) => {
    if (step === 0) return "Nothing has been seen: m = −∞, l = 0, a = 0.";
    const tile = tiles[step - 1];
    const rose = step === 1 ? "The first tile sets m"
      : tile.shrink < 1 ? `The maximum rises, so l and a are first multiplied by ${number(tile.shrink)}`
      : "The maximum stays, so l and a are only added to";
    return `Tile ${step} of ${tiles.length}, ${keys(tile)}. ${rose}. Now m = ${number(tile.m)}, l = ${number(tile.l)}, a = ${number(tile.a)}.`;
  };

  start("online-softmax", (data, id, root) => {
    let step = 0;
    const walk = () => data.walks[width.value()];
    const go = (target) => {
      step = Math.max(0, Math.min(walk().length, target));
      draw();
    };
    const [first, back, next, last] = [() => go(0), () => go(step - 1), () => go(step + 1), () => go(Infinity)];
    const width = slider(`${id}-width`, "Keys in a tile", data.widths, data.start, String, first);
    const moves = { start: ["Start", first], back: ["← Back", back], next: ["Next tile →", next], end: ["End", last] };
    const controls = stepper(root, moves, { ArrowRight: next, ArrowLeft: back, Home: first, End: last });
    const say = el("p", { className: "stepper-say" });
    say.setAttribute("aria-live", "polite");
    const tape = el("ol", { className: "softmax-tape", ariaLabel: "Scores of the keys" });
    const { box, outputs } = facts({ m: "m, highest score", factor: "factor for old sums", l: "l, sum of weights", a: "a, weighted values",
      out: "output a / l so far", lse: "log-sum-exp so far" }, false);

    const drawTape = (tiles) => {
      const now = step ? tiles[step - 1] : { start: -1, stop: -1 };
      tape.replaceChildren(...data.scores.map((score, i) => {
        const state = i >= now.start && i < now.stop ? "is-now" : i < now.start ? "is-seen" : "is-waiting";
        const edge = tiles.some((tile) => tile.start === i) ? " is-edge" : "";
        const label = { "is-now": "in fast memory", "is-seen": "seen", "is-waiting": "to come" }[state];
        return el("li", { className: `${state}${edge}` }, el("span", { textContent: score.toFixed(1).replace("-", "−") }), el("small", { textContent: label }));
      }));
    };

    const draw = () => {
      const tiles = walk();
      const tile = step ? tiles[step - 1] : { m: null, l: 0, a: 0, out: null, lse: null };
      const show = (value, missing) => (value === null ? missing : number(value));
      drawTape(tiles);
      say.textContent = sentence(tiles, step);
      outputs.m.textContent = show(tile.m, "−∞");
      outputs.factor.textContent = step > 1 ? number(tile.shrink) : "–";
      outputs.l.textContent = number(tile.l);
      outputs.a.textContent = number(tile.a);
      outputs.out.textContent = show(tile.out, "–");
      outputs.lse.textContent = show(tile.lse, "−∞");
      const [atStart, atEnd] = [step === 0, step === tiles.length];
      controls.mark({ start: atStart, back: atStart, next: atEnd, end: atEnd });
    };
    draw();
    return [width.row, controls.row, say, tape, box,
      help("Keys, once a button has the focus: ← and → move by a tile, Home and End jump. On the slider they change the tile.")];
  });
})();
