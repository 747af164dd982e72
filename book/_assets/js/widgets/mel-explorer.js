/* A filter bank over a live spectrum: window, hop, bands and scale, while the sound plays.
 *
 * Data (from book_tools.mel_explorer): {name, sample_rate_hz, samples (16 bit, base64), window_ms, hops_ms, bands, windows, scales}. The
 * transform is done here, by its definition, with the filters of nimblelm.audio.features.mel; a test holds the levels against lib's.
 */
(() => {
  const { el, svg, slider, choice, facts, scroll, stepper, help, start } = window.CourseWidgets;
  const WIDTH = 640, PLOT = 190, PICTURE = 120, FLOOR_DB = -70;
  const SHAPES = { rectangular: [1], hann: [0.5, 0.5], hamming: [0.54, 0.46] };
  const STEP = Math.log(6.4) / 27;
  const TO_MEL = { htk: (hz) => 2595 * Math.log10(1 + hz / 700), slaney: (hz) => (hz < 1000 ? (hz * 3) / 200 : 15 + Math.log(hz / 1000) / STEP) };
  const TO_HZ = { htk: (mel) => 700 * (10 ** (mel / 2595) - 1), slaney: (mel) => (mel < 15 ? (mel * 200) / 3 : 1000 * Math.exp((mel - 15) * STEP)) };

  const decoded = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return Float64Array.from(new Int16Array(bytes.buffer), (x) => x / 32768);
  };
  const mirrored = (x, i) => (i < 0 ? x[-i] : i >= x.length ? x[2 * x.length - 2 - i] : x[i]) ?? 0;
  const even = (n) => 2 * Math.round(n / 2);

  /* |DFT|^2 of one windowed frame around a sample, bins 0 .. N / 2. */
  const spectrum = (x, centre, length, shape) => {
    const [turn, rise] = [Math.cos, Math.sin].map((wave) => Float64Array.from({ length }, (_, n) => wave((2 * Math.PI * n) / length)));
    const coefficients = SHAPES[shape];
    const frame = Float64Array.from({ length }, (_, n) => mirrored(x, centre - length / 2 + n) * coefficients.reduce((sum, a, k) => sum + (-1) ** k * a * turn[(k * n) % length], 0));
    return Float64Array.from({ length: length / 2 + 1 }, (_, k) => {
      let re = 0, im = 0;
      for (let n = 0, at = 0; n < length; n += 1, at = (at + k) % length) { re += frame[n] * turn[at]; im -= frame[n] * rise[at]; }
      return re * re + im * im;
    });
  };
  const corners = (bands, scale, top) => Array.from({ length: bands + 2 }, (_, i) => TO_HZ[scale]((TO_MEL[scale](top) * i) / (bands + 1)));
  const filtered = (energy, edges, hz) => edges.slice(2).map((right, m) => {
    const [left, peak] = [edges[m], edges[m + 1]];
    return energy.reduce((sum, e, k) => sum + e * Math.max(0, Math.min((k * hz - left) / (peak - left), (right - k * hz) / (right - peak))), 0) * (2 / (right - left));
  });
  const decibel = (x) => 10 * Math.log10(Math.max(x, 1e-10));

  start("mel-explorer", (data, id, root) => {
    const x = decoded(data.samples), rate = data.sample_rate_hz, top = rate / 2;
    let frame = 0, timer = null, context = null, source = null, cache = {};
    const redraw = () => { cache = {}; frame = Math.min(frame, count() - 1); draw(); };
    const windowMs = slider(`${id}-window`, "Window", data.window_ms, 3, (ms) => `${ms} ms`, redraw);
    const hopMs = slider(`${id}-hop`, "Hop (stride)", data.hops_ms, 1, (ms) => `${ms} ms`, redraw);
    const bands = slider(`${id}-bands`, "Mel bands", data.bands, 2, String, redraw);
    const shape = choice(`${id}-shape`, "Window shape", data.windows, 1, redraw);
    const scale = choice(`${id}-scale`, "Mel scale", data.scales, 0, redraw);
    const hop = () => (data.hops_ms[hopMs.value()] * rate) / 1000;
    const length = () => even((data.window_ms[windowMs.value()] * rate) / 1000);
    const count = () => 1 + Math.floor(x.length / hop());
    const settings = () => ({ edges: corners(data.bands[bands.value()], data.scales[scale.value()], top), hz: rate / length() });
    const column = (t) => {
      if (!cache[t]) {
        const { edges, hz } = settings(), energy = spectrum(x, t * hop(), length(), data.windows[shape.value()]);
        cache[t] = { energy: [...energy].map(decibel), mel: filtered(energy, edges, hz).map(decibel) };
      }
      return cache[t];
    };
    const go = (to) => { frame = Math.max(0, Math.min(count() - 1, to)); draw(); };
    const quiet = () => { clearInterval(timer); timer = null; source?.stop(); source = null; hearing("♪ Hear it"); };
    const hear = async () => {
      if (timer) { quiet(); return; }
      if (frame >= count() - 1) frame = 0;
      context ??= new AudioContext();
      await context.resume();
      const buffer = context.createBuffer(1, x.length, rate);
      buffer.copyToChannel(Float32Array.from(x), 0);
      source = Object.assign(context.createBufferSource(), { buffer });
      source.connect(context.destination);
      const from = (frame * hop()) / rate, began = context.currentTime - from;
      source.start(0, from);
      hearing("❚❚ Quiet");
      timer = setInterval(() => {
        const at = Math.floor(((context.currentTime - began) * rate) / hop());
        go(at);
        if (at >= count() - 1) quiet();
      }, 40);
    };
    const moves = { back: ["← Frame", () => go(frame - 1)], next: ["Frame →", () => go(frame + 1)], hear: ["♪ Hear it", hear] };
    const keys = { ArrowRight: () => go(frame + 1), ArrowLeft: () => go(frame - 1), Home: () => go(0), End: () => go(count() - 1), h: hear };
    const controls = stepper(root, moves, keys, { next: () => go(frame + 1), first: () => go(0), ended: () => frame >= count() - 1 }, 0.1);
    const hearing = (words) => { controls.row.querySelector(".stepper-button-hear").textContent = words; };
    const { box, outputs } = facts({ frame: "frame", time: "its centre, ms", hz: "Hz between bins", rate: "numbers a second", peak: "loudest band, Hz", level: "its level, dB" }, false);
    const picture = el("canvas", { className: "mel-picture" });
    picture.setAttribute("role", "img");
    const plot = svg("svg", { class: "widget-plot", role: "img", viewBox: `0 0 ${WIDTH} ${PLOT + 22}` });

    const drawPicture = () => {
      const rows = data.bands[bands.value()], columns = count();
      picture.width = columns; picture.height = rows;
      picture.style = `width: 100%; height: ${PICTURE}px; image-rendering: pixelated; border-radius: 0.3rem`;
      const ink = picture.getContext("2d"), pixels = ink.createImageData(columns, rows);
      let highest = -Infinity;
      for (let t = 0; t < columns; t += 1) highest = Math.max(highest, ...column(t).mel);
      for (let t = 0; t < columns; t += 1) column(t).mel.forEach((level, m) => {
        const value = Math.max(0, 1 + (level - highest) / 70), at = 4 * ((rows - 1 - m) * columns + t);
        const now = t === frame ? 90 : 0;
        pixels.data.set([Math.min(255, 255 * value ** 0.9 + now), Math.min(255, 210 * value ** 2.2 + now), Math.min(255, 190 * Math.sin(Math.PI * Math.min(1, value * 0.9)) ** 1.2 * (1 - value * 0.4) + now), 255], at);
      });
      ink.putImageData(pixels, 0, 0);
      picture.setAttribute("aria-label", `Mel spectrogram of ${data.name}: ${rows} bands, ${columns} frames; frame ${frame} is marked.`);
      return highest;
    };
    const drawPlot = () => {
      const { energy, mel } = column(frame), { edges, hz } = settings();
      const high = Math.max(...energy), px = (f) => (f / top) * WIDTH, py = (db) => PLOT - PLOT * Math.max(0, 1 + (db - high) / -FLOOR_DB);
      const loud = Math.max(...mel);
      const triangles = mel.map((level, m) => svg("path", { d: `M${px(edges[m]).toFixed(1)},${PLOT} L${px(edges[m + 1]).toFixed(1)},${(PLOT - (PLOT - 8) * Math.max(0.02, 1 + (level - loud) / 50)).toFixed(1)} L${px(edges[m + 2]).toFixed(1)},${PLOT}`, fill: "var(--course-bonus)", "fill-opacity": level === loud ? 0.55 : 0.16, stroke: "var(--course-bonus)", "stroke-width": 1 }));
      const line = energy.map((db, k) => `${k ? "L" : "M"}${px(k * hz).toFixed(1)},${py(db).toFixed(1)}`).join("");
      const ticks = [0, 1, 2, 3, 4, 5, 6, 7].map((k) => svg("text", { x: px(k * 1000) + 2, y: PLOT + 16, "font-size": 13, fill: "currentColor" }, `${k} kHz`));
      plot.replaceChildren(...triangles, svg("path", { d: line, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }), ...ticks);
      plot.setAttribute("aria-label", `Spectrum of frame ${frame} and ${mel.length} mel bands; the loudest is centred on ${Math.round(edges[mel.indexOf(loud) + 1])} Hz.`);
      outputs.frame.textContent = `${frame} of ${count() - 1}`;
      outputs.time.textContent = String(Math.round((1000 * frame * hop()) / rate));
      outputs.hz.textContent = hz.toFixed(1);
      outputs.rate.textContent = String(Math.round((mel.length * rate) / hop()));
      outputs.peak.textContent = String(Math.round(edges[mel.indexOf(loud) + 1]));
      outputs.level.textContent = loud.toFixed(1);
    };
    const draw = () => {
      drawPicture();
      drawPlot();
      controls.mark({ back: frame === 0, next: frame === count() - 1, hear: false });
    };
    root.melExplorer = { levels: (t) => column(t).mel, count, hearing: () => source !== null };
    frame = Math.floor(count() * 0.45);
    draw();
    return [windowMs.row, hopMs.row, bands.row, shape.row, scale.row, controls.row, picture, scroll("Spectrum and bands", plot), box,
      help("Line: the spectrum of one frame, 70 dB. Triangles: the mel bands, as high as their energy. Try 4 ms and 64 ms on the same vowel. Keys, once a button has the focus: ← and → move by a frame, Home and End jump, P walks through all of them, H lets you hear it.")];
  });
})();
