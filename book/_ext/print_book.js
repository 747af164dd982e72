/* Puts pages of the site one after the other into one document, for print_book.py. */
window.printBook = (() => {
  const parts = [];
  let contents = null;

  const local = (name, address) => {
    const url = new URL(address, new URL(`${name}.html`, location.href));
    const page = url.pathname.replace(/^\//, "").replace(/\.html$/, "");
    return url.origin === location.origin ? [page, decodeURIComponent(url.hash.slice(1))] : null;
  };
  const own = (page, id) => `${page.replace(/\W/g, "-")}--${id}`;

  /* One page: its article, with ids of its own, everything unfolded, links inside the book. */
  const read = async (name, known) => {
    const source = await (await fetch(`${name}.html`)).text();
    const article = new DOMParser().parseFromString(source, "text/html").querySelector("article");
    article.querySelectorAll(".headerlink, script:not([type^='math']), .glossary-notes, .toctree-wrapper, .prev-next-area, audio, button, details.hide, .race-note + p").forEach((part) => part.remove());
    article.querySelectorAll("details").forEach((fold) => { fold.open = true; });
    article.querySelectorAll("[id]").forEach((part) => { part.id = own(name, part.id); });
    article.querySelectorAll("img[src]").forEach((picture) => { picture.src = new URL(picture.getAttribute("src"), new URL(`${name}.html`, location.href)); picture.loading = "eager"; });
    article.querySelectorAll("a[href]").forEach((link) => {
      const [page, id] = local(name, link.getAttribute("href")) ?? [];
      if (page === undefined) return;
      if (known.has(page)) link.setAttribute("href", `#${id ? own(page, id) : own(page, "top")}`);
      else link.removeAttribute("href");
    });
    article.querySelectorAll("svg [id]").forEach((part) => { part.id = part.id.replace(own(name, ""), ""); });  // drawings point at their own
    const part = document.createElement("section");
    part.className = "book-part bd-article";
    part.id = own(name, "top");
    part.append(...article.childNodes);
    return part;
  };

  const gather = async (names) => {
    document.documentElement.dataset.theme = "light";
    document.documentElement.dataset.mode = "light";
    for (const name of names) parts.push(await read(name, new Set(names)));
    contents = document.createElement("nav");
    contents.className = "book-part book-contents";
    const title = document.createElement("h1");
    title.textContent = "Nimble Language Models";
    const list = document.createElement("ol");
    const titles = parts.map((part) => part.querySelector("h1").textContent.trim());
    titles.forEach((words, i) => {
      const item = document.createElement("li"), link = document.createElement("a"), number = document.createElement("span");
      link.href = `#${parts[i].id}`;
      link.textContent = words;
      number.className = "book-number";
      number.textContent = "000";
      item.append(link, number);
      list.append(item);
    });
    contents.append(title, list);
    const book = document.createElement("main");
    book.className = "book bd-content";
    book.append(contents, ...parts);
    document.body.replaceChildren(book);
    if (window.MathJax?.typesetPromise) await MathJax.typesetPromise([book]);
    await Promise.all([...document.images].map((image) => image.decode().catch(() => 0)));
    await document.fonts.ready;
    return parts.map((part) => part.id.replace(/--top$/, ""));
  };

  const number = (starts) => contents.querySelectorAll(".book-number").forEach((place, i) => { place.textContent = starts[i]; });

  /* What reaches past the paper, or is scrolled away. */
  const cut = () => {
    const edge = document.documentElement.clientWidth + 1;
    return [...document.querySelectorAll(".book-part *")].filter((part) => {
      const box = part.getBoundingClientRect();
      if (!box.width || part.closest("svg, mjx-container, .visually-hidden")) return false;
      const scrolls = /auto|scroll|hidden/.test(getComputedStyle(part).overflowX);
      return box.right > edge || (scrolls && part.scrollWidth > part.clientWidth + 1) || (scrolls && part.scrollHeight > part.clientHeight + 2);
    }).map((part) => [part.closest(".book-part").id, part.tagName, part.className, part.textContent.trim().slice(0, 80)]);
  };

  return { gather, number, cut };
})();
