/* Pictures and captions of the reader's choice, their cosines, and what a temperature makes of them along rows, columns or in each cell.
 *
 * Data (from book_tools.similarity): {captions, styles, images[style][i], cosines[style][i][j] in ten thousandths, temperatures, learned, chosen}. The cosines
 * come from lib; softmax, sigmoid and the loss are computed here, and the page's test holds them against lib's.
 */
(() => {
  const { el, svg, slider, choice, facts, fitted, speaker, sweep, help, start } = window.CourseWidgets;
  const MOST = 6, LEAST = 2, TOP = 64, MAX_CELL = 74;
  const MODES = ["Cosines", "Rows: which caption?", "Columns: which picture?", "Cells: do they fit?"];

  const softmax = (logits) => {
    const most = Math.max(...logits), weights = logits.map((x) => Math.exp(x - most));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map((x) => x / total);
  };
  const column = (rows, j) => rows.map((row) => row[j]);
  const wrapped = (caption) => caption.split(" ");  // a word a line: captions are short
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  start("similarity-matrix", (data, id, root) => {
    const chosen = [...data.chosen];
    const mode = choice(`${id}-mode`, "Show", MODES, 1, () => draw());
    const style = choice(`${id}-style`, "Pictures drawn by", data.styles, 0, () => draw());
    const near = data.temperatures.reduce((best, value, i) => (Math.abs(value - data.learned) < Math.abs(data.temperatures[best] - data.learned) ? i : best), 0);
    const temperature = slider(`${id}-temperature`, "Temperature", data.temperatures, near, String, () => draw());
    const { box, outputs } = facts({ loss: "loss of this batch", chance: "ln n, by chance", rows: "rows right", columns: "columns right" }, false);
    const say = speaker();

    const buttons = data.captions.map((name, i) => {
      const button = el("button", { type: "button", className: "matrix-pick", title: name });
      button.append(el("img", { src: data.images[0][i], alt: "", width: 32, height: 32 }), el("span", { textContent: name }));
      button.addEventListener("click", () => {
        const at = chosen.indexOf(i);
        if (at >= 0 && chosen.length > LEAST) chosen.splice(at, 1);
        else if (at < 0) { if (chosen.length === MOST) chosen.shift(); chosen.push(i); }
        draw();
      });
      return button;
    });
    const picks = el("div", { className: "matrix-picks", role: "group", ariaLabel: `Pairs in the batch, ${LEAST} to ${MOST}` }, ...buttons);

    const shown = () => {
      const cosines = chosen.map((i) => chosen.map((j) => data.cosines[style.value()][i][j] / 1e4));
      const t = data.temperatures[temperature.value()];
      const logits = cosines.map((row) => row.map((x) => x / t));
      const rows = logits.map(softmax), columns = chosen.map((_, j) => softmax(column(logits, j)));
      const middle = mean(logits.flat());
      const cells = logits.map((row) => row.map((x) => 1 / (1 + Math.exp(middle - x))));
      const loss = mean(chosen.flatMap((_, k) => [-Math.log(rows[k][k]), -Math.log(columns[k][k])]));
      const first = (values) => values.indexOf(Math.max(...values));
      const right = [rows.filter((row, k) => first(row) === k).length, columns.filter((one, k) => first(one) === k).length];
      const values = [cosines, rows, chosen.map((_, i) => chosen.map((__, j) => columns[j][i])), cells][mode.value()];
      return { values, loss, right };
    };

    const picture = fitted(560, (width) => {
      const n = chosen.length, { values } = shown();
      const left = 44, cell = Math.min(MAX_CELL, (width - left) / n), parts = [];
      const lines = chosen.map((i) => wrapped(data.captions[i]));
      const fits = lines.flat().every((line) => 6.4 * line.length <= cell) && lines.every((all) => all.length <= 4);
      chosen.forEach((i, k) => {
        parts.push(svg("image", { href: data.images[style.value()][i], x: 2, y: TOP + k * cell + cell / 2 - 18, width: 36, height: 36, style: "image-rendering: pixelated" }));
        (fits ? lines[k] : [String(k + 1)]).forEach((line, l, all) => {
          const text = svg("text", { x: left + (k + 0.5) * cell, y: TOP - 8 - 13 * (all.length - 1 - l), "text-anchor": "middle", "font-size": 11, fill: "currentColor" });
          text.textContent = line;
          parts.push(text);
        });
      });
      values.forEach((row, i) => row.forEach((value, j) => {
        const x = left + j * cell, y = TOP + i * cell;
        parts.push(svg("rect", { class: "matrix-cell", x, y, width: cell, height: cell, fill: i === j ? "#2b9348" : "#d0690b", "fill-opacity": (0.85 * Math.max(0, Math.min(1, value))).toFixed(3),
          stroke: "currentColor", "stroke-opacity": i === j ? 0.9 : 0.3, "stroke-width": i === j ? 2 : 0.6, "data-value": value.toFixed(4) }));
        const text = svg("text", { x: x + cell / 2, y: y + cell / 2 + 4, "text-anchor": "middle", "font-size": 12, fill: "currentColor", class: "matrix-number" });
        text.textContent = value.toFixed(2);
        parts.push(text);
      }));
      return { parts, height: TOP + n * cell + 4 };
    });

    const draw = () => {
      const n = chosen.length, { loss, right } = shown();
      buttons.forEach((button, i) => {
        button.setAttribute("aria-pressed", String(chosen.includes(i)));
        button.firstChild.src = data.images[style.value()][i];
        button.lastChild.textContent = chosen.includes(i) ? `${chosen.indexOf(i) + 1} ${data.captions[i]}` : data.captions[i];
      });
      outputs.loss.textContent = loss.toFixed(3);
      outputs.chance.textContent = Math.log(n).toFixed(3);
      outputs.rows.textContent = `${right[0]} of ${n}`;
      outputs.columns.textContent = `${right[1]} of ${n}`;
      const t = data.temperatures[temperature.value()];
      say.textContent = `${n} pairs at temperature ${t}: ${right[0]} of ${n} pictures find their caption, ${right[1]} of ${n} captions their picture; the loss is ${loss.toFixed(2)}, by chance it is ${Math.log(n).toFixed(2)}.`;
      picture.redraw();
    };
    draw();
    return [picks, style.row, mode.row, temperature.row, sweep(root, temperature, draw), say, picture.frame, box,
      help(`Press a picture to put its pair into the batch or take it out (${LEAST} to ${MOST} pairs). Green is the pair itself, orange everything else; the darker, the larger. The model learned the temperature ${data.learned}. “Cells” takes the mean logit as the bias. P plays through the temperatures.`)];
  });
})();
