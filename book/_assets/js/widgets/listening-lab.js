/* Sounds in step: one transport, a switch between versions that keeps the place, a spectrogram with a cursor, a blind test.
 *
 * Data (from book_tools.sounds): {label, sounds: [{name, note, seconds}], matched, blind}. Files and pictures are those of the static
 * version. Nothing is fetched and nothing sounds before somebody presses play; then all sounds start at the same sample of one clock, and
 * switching fades from one to the other. Where files cannot be fetched (a page opened from disk), players take turns at the same time.
 */
(() => {
  const { el, facts, help, start } = window.CourseWidgets;
  const FADE_S = 0.012, STEP_S = 0.25, TRIALS = 10;
  let context = null, playing = null; // one lab sounds at a time

  /* Web Audio: every sound runs, one is heard. */
  const together = async (urls) => {
    context ??= new AudioContext();
    const files = await Promise.all(urls.map((url) => fetch(url).then((reply) => reply.arrayBuffer())));
    const buffers = await Promise.all(files.map((file) => context.decodeAudioData(file)));
    const analyser = Object.assign(context.createAnalyser(), { fftSize: 2048, smoothingTimeConstant: 0 });
    analyser.connect(context.destination);
    const gains = buffers.map(() => { const gain = context.createGain(); gain.gain.value = 0; gain.connect(analyser); return gain; });
    let sources = [], began = 0;
    const stop = () => { sources.forEach((source) => { source.onended = null; source.stop(); source.disconnect(); }); sources = []; };
    return {
      analyser,
      duration: Math.max(...buffers.map((buffer) => buffer.duration)),
      time: () => context.currentTime - began,
      play: async (from, heard) => {
        stop();
        await context.resume();
        const at = context.currentTime + 0.03;
        began = at - from;
        gains.forEach((gain, i) => { gain.gain.cancelScheduledValues(0); gain.gain.value = i === heard ? 1 : 0; });
        sources = buffers.map((buffer, i) => {
          const source = Object.assign(context.createBufferSource(), { buffer });
          source.connect(gains[i]);
          if (from < buffer.duration) source.start(at, from);
          else source.start(at + 1e6);
          return source;
        });
      },
      stop,
      hear: (heard) => gains.forEach((gain, i) => gain.gain.setTargetAtTime(i === heard ? 1 : 0, context.currentTime, FADE_S / 3)),
    };
  };

  /* Media elements, for pages without a server: one plays, the next takes over its time. */
  const inTurn = (urls, seconds) => {
    const players = urls.map((url) => Object.assign(new Audio(url), { preload: "none" }));
    let now = 0;
    return {
      analyser: null,
      duration: Math.max(...seconds),
      time: () => players[now].currentTime,
      play: (from, heard) => { now = heard; players[now].currentTime = from; return players[now].play(); },
      stop: () => players.forEach((player) => player.pause()),
      hear: (heard) => { const at = players[now].currentTime; players[now].pause(); now = heard; players[now].currentTime = at; return players[now].play(); },
    };
  };

  const binomial = (right, of) => { // chance of so many right answers or more by guessing
    let total = 0, ways = 1;
    for (let k = 0; k <= of; k += 1) { if (k >= right) total += ways; ways = (ways * (of - k)) / (k + 1); }
    return total / 2 ** of;
  };

  start("listening-lab", (data, id, root) => {
    const urls = [...root.querySelectorAll(".widget-static audio")].map((player) => player.src);
    const pictures = [...root.querySelectorAll(".widget-static img")].map((image) => image.src);
    const total = Math.max(...data.sounds.map((sound) => sound.seconds));
    const letter = (i) => String.fromCharCode(65 + i);
    let engine = null, heard = 0, at = 0, running = false, loop = true, hidden = null, score = { right: 0, of: 0 };

    const load = async () => {
      if (engine) return;
      try { engine = await together(urls); } catch { engine = inTurn(urls, data.sounds.map((sound) => sound.seconds)); }
    };
    const source = () => (heard === "x" ? hidden : heard);
    const play = async () => {
      say.textContent = engine ? "" : "Loading the sounds.";
      if (playing && playing !== pause) playing();
      playing = pause;
      await load();
      say.textContent = "";
      if (at >= total - 0.02) at = 0;
      running = true;
      await engine.play(at, source());
      draw();
      requestAnimationFrame(tick);
    };
    const pause = () => {
      if (!running) return;
      at = Math.max(0, Math.min(total, engine.time()));
      running = false;
      engine.stop();
      draw();
    };
    const seek = (to) => { at = Math.max(0, Math.min(total, to)); if (running) engine.play(at, source()); draw(); };
    const choose = (which) => { heard = which; if (running) engine.hear(source()); draw(); };

    const toggle = el("button", { type: "button", className: "lab-play" });
    toggle.addEventListener("click", () => (running ? pause() : play()));
    const picks = data.sounds.map((sound, i) => {
      const button = el("button", { type: "button", className: "lab-pick", title: sound.note, textContent: `${letter(i)} · ${sound.name}` });
      button.addEventListener("click", () => choose(i));
      return button;
    });
    const looping = el("input", { type: "checkbox", id: `${id}-loop`, checked: true });
    looping.addEventListener("change", () => { loop = looping.checked; });

    const image = el("img", { className: "lab-spectrogram", alt: "", loading: "lazy", src: pictures[0] });
    const cursor = el("div", { className: "lab-cursor" });
    const stage = el("div", { className: "lab-stage", tabIndex: 0, role: "slider", ariaLabel: "Place in the sound", ariaValueMin: "0", ariaValueMax: String(total) }, image, cursor);
    stage.addEventListener("pointerdown", (event) => { const box = stage.getBoundingClientRect(); seek(((event.clientX - box.left) / box.width) * total); });
    const { box, outputs } = facts({ time: "seconds", level: "level, dB", peak: "strongest, Hz" }, false);
    const note = el("p", { className: "lab-note" });
    const say = el("p", { className: "lab-say" });
    say.setAttribute("aria-live", "polite");

    /* The blind test: X is the first or the second; the listener says which. */
    const ask = el("button", { type: "button", className: "lab-pick lab-x", textContent: "X · one of A and B, hidden" });
    const answers = [0, 1].map((i) => {
      const button = el("button", { type: "button", className: "lab-answer", textContent: `X is ${letter(i)}` });
      button.addEventListener("click", () => {
        if (hidden === null) return;
        score = { right: score.right + (hidden === i ? 1 : 0), of: score.of + 1 };
        const p = binomial(score.right, score.of);
        say.textContent = `${hidden === i ? "Right" : "Wrong"}: it was ${letter(hidden)}. ${score.right} of ${score.of} right; guessing does as well with probability ${p.toFixed(2)}.`;
        hidden = Math.random() < 0.5 ? 0 : 1;
        if (score.of === TRIALS) { say.textContent += p < 0.05 ? " You can tell them apart." : " That is no better than guessing."; score = { right: 0, of: 0 }; }
        if (heard === "x" && running) engine.hear(hidden);
      });
      return button;
    });
    ask.addEventListener("click", () => { hidden ??= Math.random() < 0.5 ? 0 : 1; choose("x"); });

    const measure = () => {
      if (!running || !engine?.analyser) { outputs.level.textContent = outputs.peak.textContent = "–"; return; }
      const samples = new Float32Array(engine.analyser.fftSize), bins = new Float32Array(engine.analyser.frequencyBinCount);
      engine.analyser.getFloatTimeDomainData(samples);
      engine.analyser.getFloatFrequencyData(bins);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      outputs.level.textContent = power > 1e-9 ? (10 * Math.log10(power)).toFixed(0) : "silence";
      outputs.peak.textContent = power > 1e-9 ? String(Math.round((bins.indexOf(Math.max(...bins)) * context.sampleRate) / engine.analyser.fftSize)) : "–";
    };
    const tick = () => {
      if (!running) return;
      at = Math.max(0, engine.time());
      if (at >= total) {
        if (loop) { at = 0; engine.play(0, source()); }
        else { running = false; engine.stop(); at = total; }
        draw();
      }
      place();
      measure();
      if (running) requestAnimationFrame(tick);
    };
    const place = () => {
      cursor.style.left = `${(100 * Math.min(at, total)) / total}%`;
      outputs.time.textContent = Math.min(at, total).toFixed(2);
      stage.setAttribute("aria-valuenow", Math.min(at, total).toFixed(2));
    };
    const draw = () => {
      toggle.textContent = running ? "❚❚ Pause" : "▶ Play";
      picks.forEach((button, i) => button.setAttribute("aria-pressed", String(heard === i)));
      ask.setAttribute("aria-pressed", String(heard === "x"));
      const shown = heard === "x" ? null : data.sounds[heard];
      image.style.visibility = shown ? "visible" : "hidden";
      if (shown) { image.src = pictures[heard]; image.style.width = `${(100 * shown.seconds) / total}%`; }
      stage.setAttribute("aria-valuetext", shown ? `${at.toFixed(2)} s of ${shown.name}` : `${at.toFixed(2)} s of X`);
      note.textContent = shown ? (shown.note ? `${shown.name}: ${shown.note}` : shown.name) : "X: the spectrogram is hidden too.";
      place();
      measure();
    };
    const keys = { " ": () => (running ? pause() : play()), ArrowLeft: () => seek(at - STEP_S), ArrowRight: () => seek(at + STEP_S), Home: () => seek(0) };
    data.sounds.forEach((_, i) => { keys[String(i + 1)] = keys[letter(i).toLowerCase()] = () => choose(i); });
    if (data.blind) keys.x = () => ask.click();
    root.addEventListener("keydown", (event) => {
      const move = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!move || event.ctrlKey || event.metaKey || event.altKey || (event.key === " " && event.target.matches("button, input"))) return;
      event.preventDefault();
      event.stopPropagation();
      move();
    });
    root.listeningLab = { duration: () => engine?.duration ?? null, time: () => at, running: () => running, analyser: () => engine?.analyser ?? null, play, pause, choose };
    draw();
    const loopRow = el("span", { className: "widget-option" }, looping, el("label", { htmlFor: looping.id, textContent: "repeat" }));
    const transport = el("div", { className: "stepper-controls" }, toggle, ...picks, ...(data.blind ? [ask] : []), loopRow);
    const test = data.blind ? [el("div", { className: "stepper-controls lab-test" }, ...answers)] : [];
    return [el("p", { className: "lab-title", textContent: data.label }), transport, note, stage, box, ...test, say,
      help(`${data.matched ? "All at one level. " : "Levels as they are. "}The place is kept when you switch. Keys: space plays, ${data.sounds.map((_, i) => letter(i)).join(", ")} switch, ← and → move by a quarter of a second${data.blind ? ", X is the blind test" : ""}. Bands from 0 to 8 kHz, mel scale, 70 dB.`)];
  });
})();
