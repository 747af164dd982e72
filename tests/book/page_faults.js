/* What a reader would see go wrong on the open page, by kind: cut code, tables and labels, small, overprinted and lost text, legends over data. */
() => {
  const LEAST_PX = 9, SLACK = 1.5;
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && node.getBoundingClientRect().width > 0;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);
  const name = (node) => (node.textContent || node.getAttribute("aria-label") || node.className).trim().slice(0, 60);
  const wide = (node) => node.scrollWidth > node.clientWidth + SLACK;
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > SLACK && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;

  const cutCode = all("main pre").filter((pre) => getComputedStyle(pre).overflowX !== "visible" && wide(pre)).map(name);

  /* A table on a phone may be wider than its frame if the frame says so: it scrolls by keyboard and shows that there is more. */
  const phone = innerWidth < 600;
  const frames = all("main table").map((table) => table.closest(".pst-scrollable-table-container, .widget-static, .stepper-table") ?? table.parentElement);
  const cutTables = [...new Set(frames)].filter((frame) => wide(frame) && !(phone && frame.classList.contains("scrolls-sideways"))).map(name);

  const cutLabels = all(".course-widget label, .course-widget legend, .course-widget output, .course-widget button, .course-widget .code-line, .drawing-legend li, figcaption, .softmax-scores, .softmax-tape, .explorer-bars")
    .filter((node) => {
      const box = node.getBoundingClientRect();
      const frame = node.closest(".course-widget, figure").getBoundingClientRect();
      return wide(node) || box.right > frame.right + SLACK || box.left < frame.left - SLACK;
    }).map(name);

  const pictures = all("main svg.course-plot, main svg.drawing-sheet, main svg.widget-plot");
  const small = [], overprinted = [], lost = [], covering = [];
  pictures.forEach((picture) => {
    const frame = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll("text")].filter((text) => text.textContent.trim() && seen(text));
    const boxes = texts.map((text) => text.getBoundingClientRect());
    const slanted = texts.map((text) => Math.abs(text.getScreenCTM().b) > 1e-6);  // the box of such a text says little
    texts.forEach((text, i) => {
      const matrix = text.getScreenCTM();
      [text, ...text.querySelectorAll("tspan")].forEach((part) => {
        const size = parseFloat(getComputedStyle(part).fontSize) * Math.hypot(matrix.a, matrix.b);
        if (size < LEAST_PX - 0.05) small.push(`${name(part)} ${size.toFixed(1)} px`);
      });
      if (boxes[i].left < frame.left - SLACK || boxes[i].right > frame.right + SLACK || boxes[i].top < frame.top - 3 || boxes[i].bottom > frame.bottom + 3) lost.push(name(text));
      for (let j = 0; j < i; j += 1) if (!(slanted[i] && slanted[j]) && overlap(boxes[i], boxes[j])) overprinted.push(`${name(texts[j])} | ${name(text)}`);
    });
    const areas = [...picture.querySelectorAll(".plot-axes > g:first-child > path")].map((path) => path.getBoundingClientRect());
    picture.querySelectorAll(".plot-legend").forEach((legend) => {
      if (areas.some((area) => overlap(area, legend.getBoundingClientRect()))) covering.push(name(legend));
    });
  });

  const numbered = all("main div.math").filter((formula) => {
    const [number, body] = [formula.querySelector(".eqno"), formula.querySelector("mjx-math")];
    return number && body && overlap(number.getBoundingClientRect(), body.getBoundingClientRect());
  }).map(name);

  const faults = { "code cut": cutCode, "table cut": cutTables, "label cut": cutLabels, "text too small": small,
    "text over text": overprinted, "text outside its picture": lost, "legend over data": covering, "number over formula": numbered };
  return Object.fromEntries(Object.entries(faults).filter(([, found]) => found.length));
}
