/* The bytes of a KV cache for a model, a precision, a context and a batch.
 *
 * Data (from the chapter): {models, precisions, contexts, batches, bytes[model][precision][context][batch], start: [m, p, c, b]}.
 * Every number shown is read from the table, in the unit that suits it.
 */
(() => {
  const { el, slider, choice, facts, help, start } = window.CourseWidgets;

  const readable = (bytes) => {
    const unit = bytes < 2 ** 20 ? ["KiB", 2 ** 10] : bytes < 2 ** 30 ? ["MiB", 2 ** 20] : ["GiB", 2 ** 30];
    return `${(bytes / unit[1]).toFixed(2)} ${unit[0]}`;
  };

  start("kv-memory-explorer", (data, id) => {
    const [m0, p0, c0, b0] = data.start;
    const draw = () => {
      const [m, p, c, b] = [model, precision, context, batch].map((part) => part.value());
      const table = data.bytes[m][p];
      outputs.total.textContent = readable(table[c][b]);
      outputs.sequence.textContent = readable(table[c][0]);
      outputs.token.textContent = readable(table[c][0] / data.contexts[c]);
      bars.replaceChildren(...table.map((row, i) => {
        const bar = el("div", { className: `explorer-bar${i === c ? " is-chosen" : ""}` });
        bar.style.height = `${(100 * Math.log2(row[b] / 2 ** 10)) / Math.log2(2 ** 35)}%`;  // from 1 KiB to 32 TiB
        return el("div", { className: "explorer-column" }, el("div", { className: "explorer-well" }, bar),
          el("span", { textContent: data.contexts[i] < 1024 ? data.contexts[i] : `${data.contexts[i] / 1024}k` }));
      }));
    };
    const model = choice(`${id}-model`, "Model", data.models, m0, () => draw());
    const precision = choice(`${id}-precision`, "Numbers as", data.precisions, p0, () => draw());
    const context = slider(`${id}-context`, "Tokens of a text", data.contexts, c0, String, () => draw());
    const batch = slider(`${id}-batch`, "Texts at a time", data.batches, b0, String, () => draw());
    const { box, outputs } = facts({ total: "All caches", sequence: "One text", token: "One token" });
    const bars = el("div", { className: "explorer-bars", ariaHidden: "true" });
    draw();
    return [model.row, precision.row, context.row, batch.row, box, bars,
      help("Bars: bytes of all caches at each length of text, on a logarithmic scale. Arrow keys move the sliders and the choices.")];
  });
})();
