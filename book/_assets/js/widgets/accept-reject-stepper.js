/* Steps through a recorded speculative decode, one verified token at a time.
 *
 * Data (from book_tools.trace): {prompt, rounds: [{draft: [{text, q, p, u, accepted}], num_accepted, emitted: {text, kind}}],
 * after: [{tar, tokens_per_pass}], code: {lines, events: {drafted, accepted, rejected, corrected, bonus: numbers of lines}}}. `accepted` is null for a draft token that was discarded unverified; after[i] is what lib's
 * AcceptanceStats says of the first i + 1 rounds. Nothing is computed here but which number to show.
 */
(() => {
  const { el, facts, listing, speaker, stepper, help, start } = window.CourseWidgets;
  const visible = (text) => text.replace(/\n/g, "⏎").replace(/ /g, "␣");  // on its own, a token shows its spaces
  const flowing = (text) => text.replace(/\n/g, "⏎\n");
  const number = (value) => (value < 0.001 && value > 0 ? "<0.001" : value.toFixed(3));

  /* One step for each thing that happens: a round is drafted, a token is verified, the round's last token is added. */
  const stepsOf = (data) =>
    data.rounds.flatMap((round, index) => {
      const verified = round.draft.filter((token) => token.accepted !== null).length;
      const verifying = Array.from({ length: verified }, (_, i) => ({ round: index, verified: i + 1, done: false }));
      return [{ round: index, verified: 0, done: false }, ...verifying, { round: index, verified, done: true }];
    });

  const sentence = (data, step) => {
    const round = data.rounds[step.round];
    const name = `Round ${step.round + 1}`;
    if (step.done) {
      const { text, kind } = round.emitted;
      const why = kind === "bonus"
        ? "every draft token was accepted, so the same target pass gives one more token"
        : "the target draws the corrected token from what is left of p over q";
      return `${name}: ${why}: “${visible(text)}”.`;
    }
    if (step.verified === 0) return `${name}: the draft proposes ${round.draft.length} tokens; one target pass scores them all.`;
    const token = round.draft[step.verified - 1];
    const bound = number(Math.min(1, token.p / token.q));
    const comparison = token.accepted ? "is below" : "is not below";
    return `${name}, token ${step.verified}: “${visible(token.text)}” has q = ${number(token.q)} and p = ${number(token.p)}. ` +
      `u = ${number(token.u)} ${comparison} ${bound}: ${token.accepted ? "accepted" : "rejected, and the rest is discarded"}.`;
  };

  /* What happens at a step: the code that does it is lit. */
  const eventOf = (round, step) => {
    if (step.done) return round.emitted.kind;
    if (step.verified === 0) return "drafted";
    return round.draft[step.verified - 1].accepted ? "accepted" : "rejected";
  };

  const stateOf = (token, index, step) => {
    if (index < step.verified) return token.accepted ? "accepted" : "rejected";
    const rejected = step.verified > 0 && token.accepted === null;
    return step.done || rejected ? "discarded" : "proposed";
  };

  const span = (text, state, show = flowing) => el("span", { className: `token token-${state}`, textContent: show(text) });

  const drawText = (data, step) => {
    const parts = [el("span", { className: "token-prompt", textContent: data.prompt })];
    data.rounds.slice(0, step.round).forEach((round) => {
      round.draft.slice(0, round.num_accepted).forEach((token) => parts.push(span(token.text, "accepted")));
      parts.push(span(round.emitted.text, round.emitted.kind));
    });
    const round = data.rounds[step.round];
    round.draft.forEach((token, index) => parts.push(span(token.text, stateOf(token, index, step))));
    if (step.done) {
      parts.splice(parts.length - (round.draft.length - round.num_accepted), 0, span(round.emitted.text, round.emitted.kind));
    }
    return parts;
  };

  const drawTable = (data, step) =>
    data.rounds[step.round].draft.map((token, index) => {
      const state = stateOf(token, index, step);
      const verified = index < step.verified;
      const hidden = state === "discarded" ? "not verified" : "";
      const cells = [number(token.q), number(token.p), number(Math.min(1, token.p / token.q)), verified ? number(token.u) : hidden];
      return el("tr", {}, el("th", { scope: "row" }, span(token.text, state, visible)),
        ...cells.map((text) => el("td", { textContent: text })), el("td", { textContent: state }));
    });

  start("accept-reject-stepper", (data, id, root) => {
    const steps = stepsOf(data);
    let current = 0;
    const text = el("div", { className: "stepper-text", tabIndex: 0, role: "region", ariaLabel: "Text so far" });
    const say = speaker();
    const code = listing(data.code.lines);
    const body = el("tbody");
    const header = ["token", "q", "p", "min(1, p/q)", "u", "verdict"].map((name) => el("th", { scope: "col", textContent: name }));
    const table = el("table", {}, el("thead", {}, el("tr", {}, ...header)), body);
    const { box, outputs } = facts({ round: "Round", tokens: "Tokens written", tar: "TAR", "per-pass": "Tokens per target pass" }, false);

    const go = (target) => {
      current = Math.max(0, Math.min(steps.length - 1, target));
      draw();
    };
    const [first, back, next, last] = [() => go(0), () => go(current - 1), () => go(current + 1), () => go(steps.length - 1)];
    const finishRound = () => {
      const end = steps.findIndex((step, i) => i > current && step.done);
      go(end < 0 ? current : end);
    };
    const previousRound = () => go(steps.findLastIndex((step, i) => i < current && step.verified === 0 && !step.done));
    const moves = { start: ["Start", first], back: ["← Back", back], next: ["Next →", next], round: ["Finish round", finishRound] };
    const keys = { ArrowRight: next, ArrowLeft: back, PageDown: finishRound, PageUp: previousRound, Home: first, End: last };
    const controls = stepper(root, moves, keys, { next, first, ended: () => current === steps.length - 1 });

    const draw = () => {
      const step = steps[current];
      text.replaceChildren(...drawText(data, step));
      text.scrollTop = text.scrollHeight;
      body.replaceChildren(...drawTable(data, step));
      say.textContent = sentence(data, step);
      code.mark(data.code.events[eventOf(data.rounds[step.round], step)]);
      const finished = step.round + (step.done ? 1 : 0);
      const emitted = data.rounds.slice(0, finished).reduce((sum, round) => sum + round.num_accepted + 1, 0);
      const after = finished ? data.after[finished - 1] : null;
      outputs.round.textContent = `${step.round + 1} of ${data.rounds.length}`;
      outputs.tokens.textContent = emitted;
      outputs.tar.textContent = after ? after.tar.toFixed(2) : "–";
      outputs["per-pass"].textContent = after ? after.tokens_per_pass.toFixed(2) : "–";
      const [atStart, atEnd] = [current === 0, current === steps.length - 1];
      controls.mark({ start: atStart, back: atStart, next: atEnd, round: atEnd });
    };
    draw();
    return [controls.row, say, text, code.box, el("div", { className: "stepper-table", tabIndex: 0, role: "region", ariaLabel: "Tokens of this round" }, table), box,
      help("Keys, once the box has the focus: ← and → step, Page Down finishes the round, Home and End jump, P plays. The lit lines are those that the step runs.")];
  });
})();
