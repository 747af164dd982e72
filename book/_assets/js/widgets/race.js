/* The race on the landing page: a recording of two decoders that write the same text, played so that an eye can follow. */
(() => {
  const { el, help, start } = window.CourseWidgets;
  const SECONDS = 8;  // that the slower lane takes on the page
  const PROMPT_LINES = 3;

  /* Spaces at line ends and the many at line beginnings stay: this is code. */
  const build = (data, id, root) => {
    const slower = Math.max(data.plain_ms.at(-1), data.speculative_ms.at(-1));
    const slowdown = Math.max(1, Math.round((1000 * SECONDS) / slower));
    const prompt = data.prompt.split("\n").slice(-PROMPT_LINES).join("\n");

    /* Of each pass: when it ended, how many tokens it gave, and whether a token was drafted. */
    const plain = data.plain_ms.map((end) => ({ end, kept: 0 }));
    const speculative = data.speculative_ms.map((end, i) => ({ end, kept: data.kept[i] }));

    const lane = (name, title, passes) => {
      const text = el("pre", { className: "race-text", tabIndex: 0, role: "region", ariaLabel: `Text of ${title}` });
      const clock = el("output", { className: `race-clock fact-${name}` });
      const count = el("span", { className: `race-count fact-${name}-passes` });
      const bar = el("span", { className: "race-bar" });
      let shown = -1;
      const draw = (now) => {
        const over = passes.filter(({ end }) => end <= now).length;
        const last = passes.at(-1).end;
        clock.textContent = `${(Math.min(now, last) / 1000).toFixed(2)} s`;
        bar.style.inlineSize = `${(100 * Math.min(now, last)) / slower}%`;
        box.classList.toggle("is-done", over === passes.length);
        if (over === shown) return;
        shown = over;
        let at = 0;
        const tokens = passes.slice(0, over).flatMap(({ kept }) => Array.from({ length: kept + 1 }, (_, i) => [i < kept, data.tokens[at++]]));
        text.replaceChildren(el("span", { className: "race-prompt", textContent: prompt }),
          ...tokens.filter(([, token]) => token !== undefined).map(([drafted, token]) => el("span", { className: drafted ? "race-drafted" : "race-own", textContent: token })));
        text.scrollTop = text.scrollHeight;
        count.textContent = `${Math.min(at, data.tokens.length)} tokens in ${over} passes`;
      };
      const box = el("div", { className: `race-lane race-${name}` },
        el("div", { className: "race-head" }, el("strong", { textContent: title }), clock),
        el("div", { className: "race-track" }, bar), text, count);
      return { box, draw, last: passes.at(-1).end };
    };
    const lanes = [lane("plain", "Plain decoding", plain), lane("speculative", "Speculative decoding", speculative)];

    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    let now = still ? slower : 0, playing = false, before = 0;
    const status = el("p", { className: "visually-hidden", role: "status" });
    const button = el("button", { type: "button" });
    const end = el("button", { type: "button", textContent: "Show the end" });
    const show = () => {
      lanes.forEach(({ draw }) => draw(now));
      button.textContent = playing ? "❚❚ Pause" : now >= slower ? "▶ Play again" : "▶ Play";
    };
    const go = (to) => { playing = false; now = to; show(); };
    const frame = (time) => {
      if (!playing) return;
      now = Math.min(now + (time - before) / slowdown, slower);
      before = time;
      if (now >= slower) {
        playing = false;
        status.textContent = `Plain decoding took ${(lanes[0].last / 1000).toFixed(2)} seconds, speculative decoding ${(lanes[1].last / 1000).toFixed(2)}.`;
      }
      show();
      requestAnimationFrame(frame);
    };
    const play = () => {
      playing = !playing;
      if (playing && now >= slower) now = 0;
      show();
      requestAnimationFrame((time) => { before = time; frame(time); });
    };
    button.addEventListener("click", play);
    end.addEventListener("click", () => go(slower));
    root.addEventListener("keydown", (event) => {
      if (event.key === "Home" || event.key === "End") { event.preventDefault(); go(event.key === "Home" ? 0 : slower); }
    });
    show();

    /* It starts by itself, once, when it is seen. */
    if (!still && "IntersectionObserver" in window) {
      const seen = new IntersectionObserver((entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        seen.disconnect();
        if (!playing && now === 0) play();
      }, { threshold: 0.4 });
      seen.observe(root);
    }
    const slow = slowdown > 1 ? `Played ${slowdown} times slower than it was.` : "Played as fast as it was.";
    return [el("div", { className: "race-lanes" }, ...lanes.map(({ box }) => box)),
      el("div", { className: "race-foot" }, el("div", { className: "stepper-controls" }, button, end), help(`${slow} Underlined: proposed by the small model, accepted by the large one.`)), status];
  };
  start("race", build);
})();
