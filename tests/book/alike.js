/* Marks every element that looks like one before it, and whose ancestors do as well: the contrast of the first is that of all.
 * axe asks an element in a hundred then, and takes a third of its time. What counts are computed styles, whatever rule they come from.
 */
(() => {
  const LOOK = ["color", "background-color", "background-image", "opacity", "font-size", "font-weight", "position", "text-shadow", "visibility"];
  const numbers = new Map(), known = new Map([[document.documentElement, 0]]), seen = new Set();
  for (const element of document.body.parentElement.querySelectorAll("body, body *")) {
    const style = getComputedStyle(element);
    const look = [known.get(element.parentElement), ...LOOK.map((name) => style.getPropertyValue(name))].join("|");
    if (!numbers.has(look)) numbers.set(look, numbers.size + 1);
    known.set(element, numbers.get(look));
    element.toggleAttribute("data-alike", seen.has(numbers.get(look)));
    seen.add(numbers.get(look));
  }
  axe.configure({ rules: [{ id: "color-contrast", selector: "*:not([data-alike])" }] });
})();
