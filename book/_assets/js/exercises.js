/* Quizzes and exercises: marks answers, checks numbers, and remembers in this browser what was worked through. */
(() => {
  const page = location.pathname.split("/").pop().replace(/\.html$/, "");
  const KEY = `nimblelm/${page}`;
  const RIGHT = "Right", WRONG = "Not this one";

  const el = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };

  /* {exercise: {done, answers, typed}}; a browser that keeps nothing still checks answers. */
  const read = () => {
    try { return JSON.parse(localStorage.getItem(KEY))?.exercises ?? {}; } catch { return {}; }
  };
  let state = read();
  const boxes = [...document.querySelectorAll("[data-exercise]")];
  const done = () => boxes.filter((box) => state[box.dataset.exercise]?.done).length;
  const keep = (box, change) => {
    state[box.dataset.exercise] = { ...state[box.dataset.exercise], ...change };
    try { localStorage.setItem(KEY, JSON.stringify({ exercises: state, done: done(), total: boxes.length })); } catch { /* private window */ }
    showProgress();
  };

  const buildQuiz = (box) => {
    const status = el("p", { className: "exercise-status", role: "status" });
    const answers = [...box.querySelectorAll("details")];
    const mark = (answer) => {
      const right = "right" in answer.dataset;
      answer.classList.add(right ? "is-right" : "is-wrong");
      if (!answer.querySelector(".quiz-mark"))
        answer.querySelector("summary").append(el("span", { className: "quiz-mark", textContent: right ? `✓ ${RIGHT}` : `✗ ${WRONG}` }));
    };
    const given = (state[box.dataset.exercise]?.answers ?? []).filter((i) => i < answers.length);
    given.forEach((i) => { mark(answers[i]); answers[i].open = true; });
    box.append(status);
    answers.forEach((answer, i) => answer.addEventListener("toggle", () => {
      if (!answer.open || given.includes(i)) return;
      given.push(i);
      mark(answer);
      const right = "right" in answer.dataset;
      status.textContent = !right ? "Not this one: read why, and choose again." : given.length === 1 ? "Right at once." : `Right, at the ${["", "", "second", "third", "fourth", "fifth"][given.length] ?? "last"} try.`;
      keep(box, { answers: given, done: right || state[box.dataset.exercise]?.done === true });
    }));
  };

  /* 131072, 131,072, 1.5e6, 3/8, 40 % */
  const parse = (text) => {
    const plain = text.trim().replace(/[\s_]/g, "").replace(/(\d),(?=\d{3}(\D|$))/g, "$1").replace(/−/g, "-");
    const number = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?`;
    const found = plain.match(new RegExp(`^(${number})(?:/(${number}))?(%?)$`, "i"));
    return found ? Number(found[1]) / Number(found[2] ?? 1) / (found[3] ? 100 : 1) : NaN;
  };

  const verdict = (value, answer, tolerance) => {
    if (Number.isNaN(value)) return "Write a number, such as 1536, 1.5e3 or 3/8.";
    if (Math.abs(value - answer) <= tolerance * Math.abs(answer) + 1e-12) return "";
    if (Math.sign(value) !== Math.sign(answer)) return "No. Look at the sign.";
    const ratio = Math.abs(value / answer);
    const unit = [8, 1000, 1024, 1e6, 2 ** 20, 1e9, 2 ** 30].some((factor) => [ratio, 1 / ratio].some((r) => Math.abs(r / factor - 1) < tolerance + 1e-9));
    return `No: too ${ratio > 1 ? "large" : "small"}${unit ? ". Is the unit right?" : "."}`;
  };

  const buildNumber = (box) => {
    const { exercise, answer, tolerance, unit } = box.dataset;
    const input = el("input", { type: "text", inputMode: "text", id: `answer-${exercise}`, autocomplete: "off", spellcheck: false, value: state[exercise]?.typed ?? "" });
    const status = el("span", { className: "exercise-status", role: "status" });
    const form = el("form", { className: "exercise-answer" }, el("label", { htmlFor: input.id, textContent: "Your answer" }), input,
      ...(unit ? [el("span", { textContent: unit })] : []), el("button", { type: "submit", textContent: "Check" }), status);
    const judge = () => {
      const wrong = verdict(parse(input.value), Number(answer), Number(tolerance));
      status.textContent = wrong || "✓ Right.";
      form.classList.toggle("is-right", !wrong);
      form.classList.toggle("is-wrong", Boolean(wrong));
      return !wrong;
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      keep(box, { typed: input.value, done: judge() || state[exercise]?.done === true });
    });
    if (input.value) judge();
    box.querySelector(".exercise-hint").before(form);
  };

  /* Whoever has read the solution has worked the exercise through, too. */
  const buildSolution = (box) => box.querySelector(".exercise-solution").addEventListener("toggle", (event) => {
    if (event.target.open) keep(box, { done: true });
  });

  let showProgress = () => {};
  const buildProgress = () => {
    const fields = document.querySelector(".chapter-header dl");
    if (!fields || !boxes.length) return;
    const bar = el("progress", { max: boxes.length, ariaLabel: "Exercises worked through" });
    const text = el("span", { className: "progress-text" });
    const again = el("button", { type: "button", textContent: "Start again", className: "progress-reset" });
    again.addEventListener("click", () => {
      try { localStorage.removeItem(KEY); } catch { /* private window */ }
      location.reload();
    });
    fields.append(el("dt", { className: "progress-name", textContent: "Your progress:" }), el("dd", { className: "progress-row" }, bar, text, again));
    showProgress = () => {
      bar.value = done();
      text.textContent = `${done()} of ${boxes.length} questions`;
      again.hidden = Object.keys(state).length === 0;
      boxes.forEach((box) => box.classList.toggle("is-done", state[box.dataset.exercise]?.done === true));
    };
    showProgress();
  };

  const start = () => {
    boxes.forEach((box) => {
      if (box.classList.contains("quiz")) return buildQuiz(box);
      if ("answer" in box.dataset) buildNumber(box);
      buildSolution(box);
    });
    buildProgress();
  };
  start();  // the script is deferred: the page is there
})();
