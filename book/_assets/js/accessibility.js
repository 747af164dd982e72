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
    document.querySelectorAll("mjx-container[display], .bd-article pre, .pst-scrollable-table-container").forEach((box) => {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    });

  const start = () => {
    nameControls();
    makeScrollable();
    window.MathJax?.startup?.promise?.then(makeScrollable);
    window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(makeScrollable));
  };
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();
})();
