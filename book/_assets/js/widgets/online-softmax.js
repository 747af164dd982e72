/* Walks through an online softmax tile by tile.
 *
 * Data (from the chapter): {scores, values, widths, start, walks}; walks[w] holds a record {start, stop, m, l, a, shrink, out, lse} for each tile
 * of widths[w] keys, code: {lines, values: the fields of a record that each line gives}; all from lib's absorb and finish. Nothing is computed here but which record to show.
 */
(() => {
  const { el, slider, facts, listing, speaker, stepper, help, start } = window.CourseWidgets;
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
    const controls = stepper(root, moves, { ArrowRight: next, ArrowLeft: back, Home: first, End: last }, { next, first, ended: () => step === walk().length });
    const say = speaker();
    const code = listing(data.code.lines);
    const tape = el("ol", { className: "softmax-tape", ariaLabel: "Scores of the keys" });
    const { box, outputs } = facts({ m: "m, highest score", factor: "factor for old sums", l: "l, sum of weights", a: "a, weighted values",
      out: "output a / l so far", lse: "log-sum-exp so far" }, false);

    const drawTape = (tiles) => {
      const now = step ? tiles[step - 1] : { start: -1, stop: -1 };
      tape.replaceChildren(...tiles.map((tile) => {
        const state = tile.start === now.start ? "is-now" : tile.start < now.start ? "is-seen" : "is-waiting";
        const label = { "is-now": "in fast memory", "is-seen": "seen", "is-waiting": "to come" }[state];
        const cells = data.scores.slice(tile.start, tile.stop).map((score) =>
          el("span", { className: `softmax-score ${state}`, textContent: score.toFixed(1).replace("-", "−") }));
        return el("li", { className: "softmax-tile" }, el("span", { className: "softmax-scores" }, ...cells), el("small", { textContent: label }));
      }));
    };

    /* The factor's line is lit where it does something: where the maximum rose. */
    const shows = (line, field) => data.code.values[line].includes(field);
    const linesRun = (tile) => data.code.lines.flatMap((_, line) => (shows(line, "shrink") && (step === 1 || tile.shrink === 1) ? [] : [line]));
    const valueOf = (tile, field) => (field === "shrink" && step === 1 ? "–" : number(tile[field]));
    const valuesOf = (tile) => Object.fromEntries(data.code.values.map((fields, line) => [line, fields.map((field) => valueOf(tile, field)).join(", ")]));

    const draw = () => {
      const tiles = walk();
      const tile = step ? tiles[step - 1] : { m: null, l: 0, a: 0, out: null, lse: null };
      const show = (value, missing) => (value === null ? missing : number(value));
      drawTape(tiles);
      say.textContent = sentence(tiles, step);
      code.mark(step ? linesRun(tile) : [], step ? valuesOf(tile) : {});
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
    return [width.row, controls.row, say, tape, code.box, box,
      help("Keys, once a button has the focus: ← and → move by a tile, Home and End jump, P plays. On the slider the arrows change the tile. Lit lines of the code change the state; beside them stands what they give.")];
  });
})();
