/* One pass of a Medusa decoder over a tree of guesses, node by node: what it sees, where it stands, what became of it.
 *
 * Data (from book_tools.trees): {names, parents, depths, mask, probability, rounds: [{position, before, tokens, chosen, right, path}]}. names[i]
 * are the ranks of node i, mask[i][j] is 1 where node i sees node j, chosen[i] is the target's token after node i, path the nodes that were kept.
 * All of it comes from lib; nothing is computed here but where to draw a node.
 */
(() => {
  const { el, svg, choice, facts, scroll, speaker, stepper, help, start } = window.CourseWidgets;
  const BOX = { width: 104, height: 22, across: 130, down: 28 }, CELL = 18, MARGIN = 10, RULER = 22;
  const visible = (text) => text.replace(/\n/g, "⏎").replace(/ /g, "␣");
  const short = (text) => (text.length > 9 ? `${text.slice(0, 8)}…` : text);
  const label = (x, y, text, attributes = {}) => svg("text", { x, y, "font-size": 12, fill: "currentColor", ...attributes }, text);
  const rank = (number) => `${number + 1}${["st", "nd", "rd"][number] ?? "th"} guess`;

  /* The line on which each node is drawn: branches one under the other, children in the order of their ranks. */
  const linesOf = (parents) => {
    const lines = Array(parents.length).fill(0);
    let next = 0;
    const visit = (node) => {
      const children = parents.flatMap((parent, child) => (parent === node ? [child] : []));
      if (children.length === 0) { lines[node] = next; next += 1; }
      children.forEach(visit);
      if (children.length) lines[node] = lines[children[0]];
    };
    visit(0);
    return { lines, count: next };
  };

  const sentence = (data, round, node) => {
    const text = `“${visible(round.tokens[node])}”`;
    if (node === 0) return `The root, ${text}, is settled: the target chose it in the pass before. After it the target chooses “${visible(round.chosen[0])}”.`;
    const parent = data.parents[node];
    const depth = data.depths[node];
    const who = `Node ${node} is the ${rank(data.names[node][depth - 1])} of head ${depth}: ${text}.`;
    const wanted = `After its parent, node ${parent}, the target chose “${visible(round.chosen[parent])}”`;
    if (round.path.includes(node)) return `${who} ${wanted}: the guess is right and is kept.`;
    if (round.right[node]) return `${who} ${wanted}: right after its parent, but the parent is not in the text, so it is lost.`;
    return `${who} ${wanted}: the guess is wrong.`;
  };

  start("tree-attention", (data, id, root) => {
    const { lines, count } = linesOf(data.parents);
    const size = data.parents.length, depth = Math.max(...data.depths);
    const left = (node) => MARGIN + data.depths[node] * BOX.across;
    const top = (node) => RULER + MARGIN + lines[node] * BOX.down;
    let node = 0;
    const go = (target) => { node = Math.max(0, Math.min(size - 1, target)); draw(); };
    const [first, back, next, last] = [() => go(0), () => go(node - 1), () => go(node + 1), () => go(size - 1)];
    const which = choice(`${id}-round`, "Pass", data.rounds.map((_, i) => String(i + 1)), 0, () => draw());
    const moves = { start: ["Root", first], back: ["← Back", back], next: ["Next node →", next], end: ["Last", last] };
    const controls = stepper(root, moves, { ArrowRight: next, ArrowLeft: back, Home: first, End: last },
      { next, first, ended: () => node === size - 1 });
    const say = speaker();
    const before = el("p", { className: "token-cell token-prompt" });
    const { box, outputs } = facts({ node: "Node", place: "place in the text", row: "row of the cache", sees: "rows it sees", prob: "expected to be right" }, false);
    const width = 2 * MARGIN + depth * BOX.across + BOX.width;
    const picture = svg("svg", { class: "widget-plot", role: "img", viewBox: `0 0 ${width} ${RULER + 2 * MARGIN + count * BOX.down}` });
    const grid = svg("svg", { class: "widget-plot", role: "img", viewBox: `0 0 ${2 * MARGIN + RULER + size * CELL} ${MARGIN + RULER + size * CELL}`, style: "max-width: 22rem; min-width: 0" });

    /* On a narrow screen the tree is wider than its frame: the chosen node comes to the middle, as far as there is room. */
    const frame = scroll("The tree", picture);
    const bringIntoView = () => {
      const scale = picture.getBoundingClientRect().width / width;
      frame.scrollLeft = (left(node) + BOX.width / 2) * scale - frame.clientWidth / 2;
    };

    const drawTree = (round) => {
      const kept = (one) => (round.path.includes(one) ? " is-kept" : "");
      const ruler = Array.from({ length: depth + 1 }, (_, k) =>
        label(MARGIN + k * BOX.across + BOX.width / 2, RULER - 6, k ? `head ${k}` : "root", { "text-anchor": "middle", opacity: 0.8 }));
      const edges = data.parents.flatMap((parent, child) => (child === 0 ? [] : [svg("path", {
        class: `tree-edge${kept(child)}`,
        d: `M${left(parent) + BOX.width},${top(parent) + BOX.height / 2} C${left(child) - 12},${top(parent) + BOX.height / 2} ${left(child) - 12},${top(child) + BOX.height / 2} ${left(child)},${top(child) + BOX.height / 2}`,
      })]));
      const boxes = data.parents.map((_, one) => {
        const state = (one === node ? " is-now" : data.mask[node][one] ? " is-seen" : "") + kept(one) + (round.right[one] ? "" : " is-wrong");
        const group = svg("g", { class: `tree-node${state}` },
          svg("rect", { x: left(one), y: top(one), width: BOX.width, height: BOX.height, rx: 4 }),
          label(left(one) + 5, top(one) + 15, String(one), { "font-size": 12, opacity: 0.75 }),
          label(left(one) + BOX.width / 2 + 9, top(one) + 15, short(visible(round.tokens[one])), { "text-anchor": "middle", "font-family": "var(--pst-font-family-monospace)" }));
        group.addEventListener("click", () => go(one));
        return group;
      });
      picture.replaceChildren(...ruler, ...edges, ...boxes);
      picture.setAttribute("aria-label", `The tree of ${size} nodes. Node ${node} sees the text and the nodes ${data.mask[node].flatMap((sees, j) => (sees ? [j] : [])).join(", ")}.`);
    };

    const drawGrid = () => {
      const names = Array.from({ length: size }, (_, i) => [
        label(RULER - 4, MARGIN + RULER + i * CELL + 13, String(i), { "font-size": 12, "text-anchor": "end" }),
        label(RULER + i * CELL + CELL / 2, RULER + MARGIN - 5, String(i), { "font-size": 12, "text-anchor": "middle" })]).flat();
      const cells = data.mask.flatMap((row, i) => row.map((sees, j) => svg("rect", {
        class: `tree-cell${sees ? " is-visible" : ""}${i === node ? " is-now" : ""}`,
        x: RULER + j * CELL, y: MARGIN + RULER + i * CELL, width: CELL, height: CELL })));
      grid.replaceChildren(...names, ...cells);
      grid.setAttribute("aria-label", `The mask: row ${node} is marked in ${data.mask[node].filter(Boolean).length} of ${size} columns.`);
    };

    const draw = () => {
      const round = data.rounds[which.value()];
      before.textContent = `…${round.before}`;
      say.textContent = sentence(data, round, node);
      outputs.node.textContent = String(node);
      outputs.place.textContent = String(round.position + data.depths[node]);
      outputs.row.textContent = String(round.position + node);
      outputs.sees.textContent = `${round.position} + ${data.mask[node].filter(Boolean).length}`;
      outputs.prob.textContent = data.probability[node].toFixed(3);
      drawTree(round);
      drawGrid();
      bringIntoView();
      const [atStart, atEnd] = [node === 0, node === size - 1];
      controls.mark({ start: atStart, back: atStart, next: atEnd, end: atEnd });
    };
    draw();
    return [which.row, controls.row, say, before, frame, box, scroll("The mask", grid),
      help("Green and thick: kept. Dashed: not what the target chose. The marked row of the grid is what the node sees of the tree. Keys, once a button has the focus: ← and → move by a node, Home and End jump, P plays.")];
  });
})();
