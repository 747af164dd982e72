/* A scene that the reader fills, and what a model that sees says about it.
 *
 * Data (from book_tools.seeing): {things, images, asked, words, answers[scene][thing][question], new, tour}. A scene is numbered by its four cells in base n + 1,
 * cell 0 the lowest digit; an answer is 101 times the index of its word plus its per cent. Answers come from lib; the truth is read off the cells here.
 */
(() => {
  const { el, choice, player, speaker, help, start } = window.CourseWidgets;
  const PLACES = ["top left", "top right", "bottom left", "bottom right"], NOTHING = "–";

  /* What is right, or null where the question has no one answer. */
  const truth = (things, cells, thing, question) => {
    const at = cells.flatMap((k, i) => (k === thing + 1 ? [i] : []));
    if (question === 4) return at.length ? String(at.length) : null;
    if (question === 5) return at.length ? "yes" : "no";
    if (at.length !== 1) return null;
    const [i] = at, sideways = question < 2, back = question % 2 === 0;
    const there = sideways ? (i % 2 === 1) === back : (i >= 2) === back;
    if (!there) return null;
    const other = cells[i ^ (sideways ? 1 : 2)];
    return other ? things[other - 1] : null;
  };

  start("scene-arranger", (data, id, root) => {
    const base = data.things.length + 1;
    let cells = [0, 0, 0, 0], stop = 0;
    const from = (number) => [0, 1, 2, 3].map((i) => Math.floor(number / base ** i) % base);
    const visit = (k) => { stop = k; cells = from(data.tour[k]); draw(); };
    const asked = choice(`${id}-thing`, "Ask about", data.things, 0, () => draw());
    const buttons = PLACES.map((place, i) => {
      const button = el("button", { type: "button", className: "scene-cell" });
      button.addEventListener("click", () => { cells[i] = (cells[i] + 1) % base; draw(); });
      return button;
    });
    const scene = el("div", { className: "scene-grid", role: "group", ariaLabel: "The scene" }, ...buttons);
    const body = el("tbody");
    const table = el("table", { className: "table scene-answers" }, el("thead", {}, el("tr", {}, ...["question", "the model says", "probability", "truth"].map((name) => el("th", { scope: "col", textContent: name })))), body);
    const say = speaker();

    const draw = () => {
      const number = cells.reduce((sum, k, i) => sum + k * base ** i, 0), thing = asked.value();
      buttons.forEach((button, i) => {
        const name = cells[i] ? data.things[cells[i] - 1] : "nothing";
        button.setAttribute("aria-label", `${PLACES[i]}: ${name}`);
        button.replaceChildren(...(cells[i] ? [el("img", { src: data.images[cells[i] - 1], alt: "", width: 52, height: 52 })] : []));
      });
      let right = 0, askable = 0;
      body.replaceChildren(...data.asked.map((question, q) => {
        const coded = data.answers[number][thing][q], word = data.words[Math.floor(coded / 101)], sure = coded % 101;
        const true_ = truth(data.things, cells, thing, q);
        if (true_ !== null) { askable += 1; right += Number(true_ === word); }
        const row = el("tr", { className: true_ === null ? "scene-open" : true_ === word ? "scene-right" : "scene-wrong" },
          el("th", { scope: "row", textContent: question.replace("{}", data.things[thing]) }), el("td", { className: "scene-said", textContent: word }),
          el("td", { textContent: `${sure}%` }), el("td", { className: "scene-truth", textContent: true_ ?? NOTHING }));
        return row;
      }));
      const shown = [...new Set(cells.filter(Boolean).map((k) => k - 1))];
      const fresh = data.new.filter((pair) => pair.every((k) => shown.includes(k))).map((pair) => pair.map((k) => data.things[k]).join(" and "));
      say.textContent = `${right} of ${askable} answers right.` + (fresh.length ? ` ${fresh.join(", ")} never stood together in a training scene.` : "");
    };
    visit(1);
    const play = player(root, { next: () => visit(Math.min(stop + 1, data.tour.length - 1)), ended: () => stop === data.tour.length - 1, first: () => visit(0) }, 1.2);
    return [el("div", { className: "scene-arranger" }, scene, el("div", {}, asked.row, el("div", { className: "stepper-controls" }, play))), say, table,
      help("Press a cell to put the next thing into it. A dash is a question that has no one answer; the model gives one all the same. P plays four scenes.")];
  });
})();
