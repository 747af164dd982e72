/* A term's definition opens when its link is hovered, focused or tapped; Escape closes it. Without scripts the link leads to the glossary. */
(() => {
  const GAP = 6, PATIENCE_MS = 150;
  let open = null, closing = 0;

  const close = () => {
    clearTimeout(closing);
    if (!open) return;
    open.note.classList.remove("is-open");
    open.link.removeAttribute("aria-describedby");
    open = null;
  };
  const show = (link, note) => {
    if (open?.link === link) return clearTimeout(closing);
    close();
    open = { link, note };
    note.classList.add("is-open");
    link.setAttribute("aria-describedby", note.id);
    const word = link.getClientRects()[0], own = note.getBoundingClientRect();
    const left = Math.max(GAP, Math.min(word.left, document.documentElement.clientWidth - own.width - GAP));
    const below = word.bottom + GAP + own.height < window.innerHeight || word.top < own.height + GAP;
    note.style.left = `${left}px`;
    note.style.top = `${below ? word.bottom + GAP : word.top - own.height - GAP}px`;
  };
  const closeSoon = () => { clearTimeout(closing); closing = setTimeout(close, PATIENCE_MS); };

  document.querySelectorAll('.bd-article a[href*="glossary.html#term-"]').forEach((link) => {
    const note = document.getElementById(`note-${decodeURIComponent(link.hash.slice(1))}`);
    if (!note) return;
    link.classList.add("glossary-link");
    link.removeAttribute("title");
    let touched = false;
    link.addEventListener("pointerenter", (event) => { touched = event.pointerType === "touch" && open?.link !== link; if (!touched) show(link, note); });
    link.addEventListener("pointerleave", (event) => event.pointerType === "touch" || closeSoon());
    link.addEventListener("focus", () => touched || show(link, note));
    link.addEventListener("blur", close);
    link.addEventListener("click", (event) => {
      if (!touched) return;
      event.preventDefault();  // the first tap reads, the second follows
      touched = false;
      show(link, note);
    });
    note.addEventListener("pointerenter", () => clearTimeout(closing));
    note.addEventListener("pointerleave", closeSoon);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  window.addEventListener("scroll", close, { passive: true });
  document.addEventListener("pointerdown", (event) => open && !open.note.contains(event.target) && !open.link.contains(event.target) && close());
})();
