/* Residual quantization in the plane: every book quantizes what the ones before it left over.
 *
 * Data (from book_tools.rvq_plane): {points[n][2], books[k][v][2], codes[n][k], left[k]}, left[0] without any book. What is drawn is the
 * sum of the vectors that the codes name; a test holds the numbers against nimblelm.audio.codec.residual_vq.
 */
(() => {
  const { svg, facts, fitted, stepper, help, start } = window.CourseWidgets;
  const MOST = 600, REACH = 3.1;

  start("rvq-plane", (data, id, root) => {
    const books = data.books.length;
    let count = 0;
    const decoded = (n, upto) => data.codes[n].slice(0, upto).reduce((sum, code, k) => [sum[0] + data.books[k][code][0], sum[1] + data.books[k][code][1]], [0, 0]);
    const go = (to) => { count = Math.max(0, Math.min(books, to)); draw(); };
    const moves = { back: ["← Book", () => go(count - 1)], next: ["Book →", () => go(count + 1)] };
    const keys = { ArrowRight: () => go(count + 1), ArrowLeft: () => go(count - 1), Home: () => go(0), End: () => go(books) };
    const controls = stepper(root, moves, keys, { next: () => go(count + 1), first: () => go(0), ended: () => count >= books }, 1.2);
    const { box, outputs } = facts({ books: "books", bits: "bits a point", places: "places it can have", left: "error left (root mean square)" });

    const plot = (width) => {
      const height = Math.round(width * 0.72), scale = Math.min(width, height) / (2 * REACH);
      const at = ([x, y]) => [width / 2 + x * scale, height / 2 - y * scale];
      const lines = data.points.map((point, n) => {
        const [[x1, y1], [x2, y2]] = [at(point), at(decoded(n, count))];
        return svg("line", { x1, y1, x2, y2, stroke: "var(--role-rejected, #d3455b)", "stroke-width": 1.2, "stroke-opacity": 0.75 });
      });
      const dots = data.points.map((point) => { const [cx, cy] = at(point); return svg("circle", { cx, cy, r: 3.4, fill: "none", stroke: "currentColor", "stroke-width": 1.3 }); });
      const sums = data.points.map((_, n) => { const [cx, cy] = at(decoded(n, count)); return svg("circle", { cx, cy, r: 3.2, fill: "var(--role-sound, #9a5fd0)" }); });
      const axes = [svg("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2, stroke: "currentColor", "stroke-opacity": 0.2 }), svg("line", { x1: width / 2, x2: width / 2, y1: 0, y2: height, stroke: "currentColor", "stroke-opacity": 0.2 })];
      return { parts: [...axes, ...lines, ...dots, ...sums], height };
    };
    const picture = fitted(MOST, plot);
    const draw = () => {
      outputs.books.textContent = String(count);
      outputs.bits.textContent = String(count * Math.log2(data.books[0].length));
      outputs.places.textContent = String(data.books[0].length ** count);
      outputs.left.textContent = data.left[count].toFixed(3);
      controls.mark({ back: count === 0, next: count === books });
      picture.redraw();
    };
    root.rvqPlane = { decoded: (n) => decoded(n, count), count: () => count };
    draw();
    return [controls.row, picture.frame, box,
      help("Rings: points. Dots: the sum of the vectors that their codes name, one more for each book. Red: what is left over, which the next book quantizes. Keys, once a button has the focus: ← and → take a book away or add one, Home and End jump, P plays.")];
  });
})();
