/* The search page: chapters come first, and an excerpt is prose, without the page's menus, code and numbers. */
(() => {
  const LENGTH = 260;
  const NOT_PROSE = ".headerlink, script, style, pre, table, figure, .chapter-header, .course-widget, .toc, nav, h1, mjx-container, .cell, .glossary-notes, details, .math";
  const order = ([docname]) => (/^ch\d\d_/.test(docname) ? 1000 : /^(assignments\/|glossary|intro)/.test(docname) ? 500 : 0);
  Scorer.score = (item) => item[4] + order(item);

  Search.htmlToText = (source, anchor) => {
    const article = new DOMParser().parseFromString(source, "text/html").querySelector("article");
    const place = (anchor && article?.querySelector(anchor)) || article;
    place?.querySelectorAll(NOT_PROSE).forEach((part) => part.remove());
    return (place?.textContent ?? "").replace(/\s+/g, " ").trim();
  };

  /* The stretch that holds most of the words searched for, from the beginning of a word. */
  Search.makeSearchSummary = (source, keywords, anchor) => {
    const text = Search.htmlToText(source, anchor);
    if (!text) return null;
    const plain = text.toLowerCase(), words = [...keywords].map((word) => word.toLowerCase());
    const found = words.flatMap((word) => Array.from(plain.matchAll(new RegExp(word.replace(/[^\w\s]/g, "\\$&"), "g")), ({ index }) => index));
    const holds = (start) => words.filter((word) => plain.slice(start, start + LENGTH / 2).includes(word)).length;
    const best = found.sort((a, b) => a - b).reduce((most, start) => (holds(start) > holds(most) ? start : most), found[0] ?? 0);
    const from = best < LENGTH / 2 ? 0 : text.indexOf(" ", best - LENGTH / 2) + 1;
    const to = from + LENGTH < text.length ? text.lastIndexOf(" ", from + LENGTH) : text.length;
    const summary = document.createElement("p");
    summary.className = "context";
    summary.textContent = `${from ? "… " : ""}${text.slice(from, to)}${to < text.length ? " …" : ""}`;
    return summary;
  };
})();
