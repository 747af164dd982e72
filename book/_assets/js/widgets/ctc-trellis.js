/* The trellis of CTC over a spelled word: alpha and beta of every node, and an n-best list that a language model ranks anew.
 *
 * Data (from book_tools.ctc_trellis): {word, states[s], alpha[t][s], beta[t][s], occupancy[t][s], logProb, weights[], shown,
 * hypotheses[{text, acoustic, language}]}; null where no path passes. A test holds the numbers against nimblelm.audio.recognition.
 */
(() => {
  const { el, svg, facts, fitted, stepper, slider, help, start } = window.CourseWidgets;
  const MOST = 720, LEFT = 26, ROW = 25, TOP = 8;

  start("ctc-trellis", (data, id, root) => {
    const frames = data.alpha.length, states = data.states.length;
    let frame = 0, state = 0;
    const likeliest = (t) => data.occupancy[t].indexOf(Math.max(...data.occupancy[t]));
    const go = (t, s) => {
      frame = Math.max(0, Math.min(frames - 1, t));
      state = Math.max(0, Math.min(states - 1, s ?? likeliest(frame)));
      draw();
    };
    const moves = { back: ["← Frame", () => go(frame - 1)], next: ["Frame →", () => go(frame + 1)] };
    const keys = {
      ArrowRight: () => go(frame + 1), ArrowLeft: () => go(frame - 1), ArrowDown: () => go(frame, state + 1), ArrowUp: () => go(frame, state - 1),
      Home: () => go(0), End: () => go(frames - 1),
    };
    const controls = stepper(root, moves, keys, { next: () => go(frame + 1), first: () => go(0), ended: () => frame >= frames - 1 }, 0.25);
    const { box, outputs } = facts({ node: "node", alpha: "log α: all ways here", beta: "log β: all ways on", gamma: "p(node | word, sound)" });
    const said = (x) => (x === null ? "−∞" : x.toFixed(2));

    const plot = (width) => {
      const step = (width - LEFT) / frames, height = TOP + states * ROW;
      const x = (t) => LEFT + (t + 0.5) * step, y = (s) => TOP + (s + 0.5) * ROW;
      const names = data.states.map((name, s) => svg("text", { x: 10, y: y(s) + 5, "text-anchor": "middle", "font-size": 14, "font-family": "monospace", fill: "currentColor" }, name));
      const lines = data.states.map((_, s) => svg("line", { x1: LEFT, x2: width, y1: y(s), y2: y(s), stroke: "currentColor", "stroke-opacity": 0.12 }));
      const nodes = data.occupancy.flatMap((row, t) => row.map((p, s) => {
        const impossible = data.alpha[t][s] === null || data.beta[t][s] === null;
        const radius = Math.min(step * 0.48, ROW * 0.42) * (impossible ? 0.2 : 0.28 + 0.72 * Math.sqrt(p));
        const color = impossible ? "currentColor" : s % 2 ? "var(--role-text, #5c6fd8)" : "var(--role-sound, #9a5fd0)";
        const node = svg("circle", { cx: x(t), cy: y(s), r: radius, fill: color, "fill-opacity": impossible ? 0.15 : 0.2 + 0.8 * p });
        node.addEventListener("pointerenter", () => go(t, s));
        node.addEventListener("click", () => go(t, s));
        return node;
      }));
      const ring = svg("circle", { cx: x(frame), cy: y(state), r: Math.min(step, ROW) * 0.55, fill: "none", stroke: "currentColor", "stroke-width": 1.8 });
      ring.style.pointerEvents = "none";
      return { parts: [...lines, ...names, ...nodes, ring], height };
    };
    const picture = fitted(MOST, plot);

    const list = el("ol", { className: "trellis-list" });
    const weight = slider(`${id}-weight`, "weight of the language model", data.weights, 0, (w) => w.toFixed(1), () => rank());
    const ranked = () => {
      const w = data.weights[weight.value()];
      return data.hypotheses.map((one) => ({ ...one, score: one.acoustic + w * one.language })).sort((a, b) => b.score - a.score);
    };
    const rank = () => {
      const rows = ranked().slice(0, data.shown).map((one) => {
        const line = el("li", {}, el("code", { textContent: one.text }), ` ${one.score.toFixed(2)} = ${one.acoustic.toFixed(2)} ${one.language < 0 ? "−" : "+"} ${data.weights[weight.value()].toFixed(1)} · ${Math.abs(one.language).toFixed(2)}`);
        if (one.text === data.word) line.style.fontWeight = "bold";
        return line;
      });
      list.replaceChildren(...rows);
    };
    const draw = () => {
      outputs.node.textContent = `${data.states[state]} at frame ${frame}`;
      outputs.alpha.textContent = said(data.alpha[frame][state]);
      outputs.beta.textContent = said(data.beta[frame][state]);
      outputs.gamma.textContent = data.occupancy[frame][state].toFixed(3);
      controls.mark({ back: frame === 0, next: frame === frames - 1 });
      picture.redraw();
    };
    root.ctcTrellis = { at: () => [frame, state], go, best: () => ranked()[0].text };
    draw();
    rank();
    return [controls.row, picture.frame, box, weight.row, list,
      help("Columns: frames of 40 ms. Rows: the letters of the word with a blank (–) before, between and behind. The larger and darker a node, the more of the word's probability passes through it; dots are out of reach. Hover, or walk with the arrow keys once a button has the focus; P plays. Below: the transcripts that the search found, log p from the sound plus the weight times log p from the letters.")];
  });
})();
