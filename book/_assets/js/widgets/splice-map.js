/* Two texts with pictures in them, spliced as the reader writes them: slots, labels and mask, aligned.
 *
 * Data (from book_tools.seeing): {texts, sizes, size}. The splicing is done here, and the page's test holds it against lib's.
 */
(() => {
  const { el, slider, choice, sweep, scroll, speaker, help, start } = window.CourseWidgets;
  const IMAGE = "<image>", SIDES = ["right", "left"], ROWS = ["slot", "holds", "label", "mask"];

  /* Slots of one text: {text, picture, label}. Pictures are numbered on from `before`. */
  const spliced = (text, size, before) => {
    let answering = false, pictures = before;
    const slots = [];
    text.split(/\s+/).filter(Boolean).forEach((word) => {
      if (word === "question:") answering = false;
      if (word === IMAGE) {
        pictures += 1;
        for (let k = 1; k <= size; k += 1) slots.push({ text: `${pictures}.${k}`, picture: true, label: "" });
      } else slots.push({ text: word, picture: false, label: answering ? word : "" });
      if (word === "answer:") answering = true;
    });
    return { slots, pictures };
  };

  start("splice-map", (data, id, root) => {
    const areas = data.texts.map((text, i) => {
      const area = el("textarea", { id: `${id}-text-${i}`, value: text, rows: 2, spellcheck: false, className: "splice-text" });
      area.addEventListener("input", () => draw());
      area.addEventListener("keydown", (event) => event.stopPropagation());
      return area;
    });
    const written = areas.map((area, i) => el("div", {}, el("label", { htmlFor: area.id, textContent: `Text ${i + 1}` }), area));
    const size = slider(`${id}-size`, "Embeddings a picture", data.sizes, data.sizes.indexOf(data.size), String, () => draw());
    const side = choice(`${id}-side`, "Padding on the", SIDES, 0, () => draw());
    const maps = scroll("Texts, slot by slot", ""), say = speaker();

    const draw = () => {
      let pictures = 0;
      const rows = areas.map((area) => {
        const found = spliced(area.value, data.sizes[size.value()], pictures);
        ({ pictures } = found);
        return found.slots;
      });
      const longest = Math.max(...rows.map((row) => row.length), 1);
      maps.replaceChildren(...rows.map((row, n) => {
        const padding = Array.from({ length: longest - row.length }, () => null);
        const line = side.value() === 0 ? [...row, ...padding] : [...padding, ...row];
        const cells = {
          slot: (_, i) => el("td", { textContent: i }),
          holds: (one) => el("td", { textContent: one?.text ?? "", className: one ? (one.picture ? "splice-picture" : "splice-word") : "splice-padding" }),
          label: (one) => el("td", { textContent: one?.label || "–100", className: one?.label ? "splice-label" : "splice-ignored" }),
          mask: (one) => el("td", { textContent: one ? 1 : 0 }),
        };
        const body = ROWS.map((name) => el("tr", { className: `splice-${name}-row` }, el("th", { scope: "row", textContent: name }), ...line.map(cells[name])));
        return el("table", { className: "splice-map", ariaLabel: `Text ${n + 1}` }, ...body);
      }));
      const counts = rows.map((row) => row.slice(1).filter((one) => one.label).length), empty = counts.indexOf(0);
      say.textContent = `${longest} slots; ${counts.map((n, i) => `text ${i + 1} has ${n} labels`).join(", ")}.` +
        (empty >= 0 ? ` No label of text ${empty + 1} survives: inspect_labels raises an error.` : "");
      say.classList.toggle("splice-error", empty >= 0);
    };
    draw();
    return [...written, size.row, side.row, sweep(root, size, draw), say, maps,
      help("Write <image> where a picture stands, “answer:” before what is to be learned and “question:” where that ends. Play makes the pictures larger.")];
  });
})();
