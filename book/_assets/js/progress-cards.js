/* On the landing page: how far the reader has come in each chapter, as this browser remembers it (see exercises.js). */
document.querySelectorAll(".card-progress").forEach((place) => {
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(`nimblelm/${place.dataset.page}`)); } catch { /* private window */ }
  if (!kept?.total) return;
  const bar = document.createElement("progress");
  Object.assign(bar, { max: kept.total, value: kept.done, ariaLabel: "Questions worked through" });
  place.append(bar, ` ${kept.done} of ${kept.total} questions`);
});
