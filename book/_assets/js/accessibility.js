/* Names and keyboard access that the theme leaves out. */
(() => {
  const nameControls = () => {
    document.querySelectorAll("details > summary").forEach((summary) => {
      if (summary.textContent.trim()) return summary.removeAttribute("aria-label");  // the visible text is the name
      const link = summary.parentElement.previousElementSibling;
      summary.setAttribute("aria-label", `Toggle subsections${link ? ` of ${link.textContent.trim()}` : ""}`);
    });
    document.querySelectorAll(".search-button__button").forEach((button) => {
      if (button.textContent.trim()) button.removeAttribute("aria-label");
    });
  };

  /* Whatever scrolls sideways must be reachable by keyboard. */
  const makeScrollable = () =>
    document.querySelectorAll("mjx-container[display], .bd-article pre, .pst-scrollable-table-container, .widget-static, .widget-scroll").forEach((box) => {
      const scrolls = box.scrollWidth > box.clientWidth;
      if (scrolls) box.tabIndex = 0;
      if (box.querySelector("table")) box.classList.toggle("scrolls-sideways", scrolls);
    });

  /* A formula that is a little too wide for a phone is set smaller; one that is far too wide scrolls. */
  const fitFormulas = () =>
    document.querySelectorAll("mjx-container[display]").forEach((formula) => {
      formula.style.removeProperty("--fit");
      if (formula.scrollWidth > formula.clientWidth) formula.style.setProperty("--fit", Math.max(0.68, (0.98 * formula.clientWidth) / formula.scrollWidth));
    });
  const settle = () => { fitFormulas(); makeScrollable(); };

  const start = () => {
    nameControls();
    makeScrollable();
    window.MathJax?.startup?.promise?.then(settle);
    window.addEventListener("resize", settle);
    window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(settle));
  };
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
})();
