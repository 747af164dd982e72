/* Steps through a recorded speculative decode, one judged token at a time.
 *
 * Data (from book_tools.trace): {prompt, rounds: [{draft: [{text, q, p, u, accepted}], num_accepted, emitted: {text, kind}}],
 * after: [{tar, tokens_per_pass}]}. `accepted` is null for a draft token that was thrown away unjudged; after[i] is what lib's
 * AcceptanceStats says of the first i + 1 rounds. Nothing is computed here but which number to show.
 */
(() => {
  const el = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };
  const visible = (text) => text.replace(/\n/g, "⏎").replace(/ /g, "␣");  // on its own, a token shows its spaces
  const flowing = (text) => text.replace(/\n/g, "⏎\n");
  const number = (value) => (value < 0.001 && value > 0 ? "<0.001" : value.toFixed(3));

  /* One step for each thing that happens: a round is drafted, a token is judged, the round's last token is added. */
  const stepsOf = (data) =>
    data.rounds.flatMap((round, index) => {
      const judged = round.draft.filter((token) => token.accepted !== null).length;
      const judging = Array.from({ length: judged }, (_, i) => ({ round: index, judged: i + 1, done: false }));
      return [{ round: index, judged: 0, done: false }, ...judging, { round: index, judged, done: true }];
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
    if (step.judged === 0) return `${name}: the draft proposes ${round.draft.length} tokens; one target pass scores them all.`;
    const token = round.draft[step.judged - 1];
    const bound = number(Math.min(1, token.p / token.q));
    const comparison = token.accepted ? "is below" : "is not below";
    return `${name}, token ${step.judged}: “${visible(token.text)}” has q = ${number(token.q)} and p = ${number(token.p)}. ` +
      `u = ${number(token.u)} ${comparison} ${bound}: ${token.accepted ? "accepted" : "rejected, and the rest is thrown away"}.`;
  };

  const stateOf = (token, index, step) => {
    if (index < step.judged) return token.accepted ? "accepted" : "rejected";
    const rejected = step.judged > 0 && token.accepted === null;
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
      const judged = index < step.judged;
      const hidden = state === "discarded" ? "not judged" : "";
      const cells = [number(token.q), number(token.p), number(Math.min(1, token.p / token.q)), judged ? number(token.u) : hidden];
      return el("tr", {}, el("th", { scope: "row" }, span(token.text, state, visible)),
        ...cells.map((text) => el("td", { textContent: text })), el("td", { textContent: state }));
    });

  const build = (root) => {
    const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
    const steps = stepsOf(data);
    let current = 0;
    const text = el("div", { className: "stepper-text", tabIndex: 0, role: "region", ariaLabel: "Text so far" });
    const say = el("p", { className: "stepper-say" });
    say.setAttribute("aria-live", "polite");
    const body = el("tbody");
    const header = ["draft token", "q", "p", "min(1, p/q)", "u", "verdict"].map((name) => el("th", { scope: "col", textContent: name }));
    const table = el("table", {}, el("thead", {}, el("tr", {}, ...header)), body);
    const counters = Object.fromEntries(["round", "tokens", "tar", "per-pass"].map((name) => [name, el("output", { className: `stepper-${name}` })]));
    const counter = (label, name) => el("div", {}, el("span", { textContent: label }), counters[name]);

    const buttons = {};
    const go = (target) => {
      current = Math.max(0, Math.min(steps.length - 1, target));
      draw();
    };
    const nextRound = () => go(steps.findIndex((step, i) => i > current && step.done));
    const previousRound = () => go(steps.findLastIndex((step, i) => i < current && step.judged === 0 && !step.done));
    const moves = {
      start: ["Start", () => go(0)],
      back: ["← Back", () => go(current - 1)],
      next: ["Next →", () => go(current + 1)],
      round: ["Finish round", () => nextRound()],
    };
    const controls = el("div", { className: "stepper-controls" });
    Object.entries(moves).forEach(([name, [label, action]]) => {
      buttons[name] = el("button", { type: "button", textContent: label, className: `stepper-button-${name}`, onclick: action });
      controls.append(buttons[name]);
    });

    function draw() {
      const step = steps[current];
      text.replaceChildren(...drawText(data, step));
      text.scrollTop = text.scrollHeight;
      body.replaceChildren(...drawTable(data, step));
      say.textContent = sentence(data, step);
      const finished = step.round + (step.done ? 1 : 0);
      const emitted = data.rounds.slice(0, finished).reduce((sum, round) => sum + round.num_accepted + 1, 0);
      const after = finished ? data.after[finished - 1] : null;
      counters.round.textContent = `${step.round + 1} of ${data.rounds.length}`;
      counters.tokens.textContent = emitted;
      counters.tar.textContent = after ? after.tar.toFixed(2) : "–";
      counters["per-pass"].textContent = after ? after.tokens_per_pass.toFixed(2) : "–";
      buttons.start.disabled = buttons.back.disabled = current === 0;
      buttons.next.disabled = buttons.round.disabled = current === steps.length - 1;
    }

    root.addEventListener("keydown", (event) => {
      const action = {
        ArrowRight: () => go(current + 1), ArrowLeft: () => go(current - 1),
        PageDown: nextRound, PageUp: previousRound, Home: () => go(0), End: () => go(steps.length - 1),
      }[event.key];
      if (!action) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    });
    root.querySelector(".widget-static").replaceWith(
      el("div", { className: "widget-live" }, controls, say, text,
        el("div", { className: "stepper-table", tabIndex: 0, role: "region", ariaLabel: "Tokens of this round" }, table),
        el("div", { className: "stepper-counters" }, counter("Round", "round"), counter("Tokens written", "tokens"),
          counter("TAR", "tar"), counter("Tokens per target pass", "per-pass")),
        el("p", { className: "widget-help", textContent: "Keys, once the box has the focus: ← and → step, Page Down finishes the round, Home and End jump." })));
    draw();
  };

  const start = () => document.querySelectorAll('[data-widget="accept-reject-stepper"]').forEach(build);
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
})();
