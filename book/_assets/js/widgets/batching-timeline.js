/* The passes of a serving engine under three policies, pass by pass.
 *
 * Data (from the chapter): {requests: [{name, arrival_s, prompt, new}], policies: [{name, stats: {ttft_ms, tpot_ms, gap_ms, throughput},
 * steps: [{start_s, end_s, shares: [[request, start, count, emits]]}]}]}. Nothing is computed here but places on the drawing.
 */
(() => {
  const { svg, slider, choice, facts, fitted, sweep, speaker, help, start } = window.CourseWidgets;
  const MOST = 640, LEFT = 76, ROW = 26, TOP = 8, BOTTOM = 26;

  const drawing = (data, policy, current, end_s, width) => {
    const height = TOP + ROW * data.requests.length + BOTTOM;
    const px = (seconds) => LEFT + (seconds / end_s) * (width - LEFT - 8);
    const parts = data.requests.flatMap((request, row) => [
      svg("text", { x: LEFT - 8, y: TOP + ROW * row + 17, "text-anchor": "end", "font-size": 12, fill: "currentColor" }, request.name),
      svg("line", { x1: px(request.arrival_s), x2: px(request.arrival_s), y1: TOP + ROW * row + 2, y2: TOP + ROW * row + ROW - 2, stroke: "currentColor", "stroke-width": 2 }),
    ]);
    policy.steps.forEach((step, index) => step.shares.forEach(([name, from]) => {
      const kind = from < data.requests[name].prompt ? "reads" : "writes";
      parts.push(svg("rect", {
        x: px(step.start_s), y: TOP + ROW * name + 4, height: ROW - 8, width: Math.max(px(step.end_s) - px(step.start_s) - 0.8, 0.8),
        class: `timeline-box timeline-${kind}${index === current ? " is-current" : ""}`,
      }));
    }));
    const step = policy.steps[current];
    parts.push(svg("rect", { x: px(step.start_s), y: TOP, width: px(step.end_s) - px(step.start_s), height: ROW * data.requests.length, class: "timeline-now" }));
    const ticks = width < 480 ? 2 : 4;
    for (let i = 0; i <= ticks; i += 1) {
      parts.push(svg("text", { x: px((end_s * i) / ticks), y: height - 6, "text-anchor": i === ticks ? "end" : "middle", "font-size": 12, fill: "currentColor" },
        `${((1e3 * end_s * i) / ticks).toFixed(0)} ms`));
    }
    return { parts, height };
  };

  const sentence = (data, policy, index) => {
    const step = policy.steps[index];
    const shares = step.shares.map(([name, from, count, emits]) => {
      const who = data.requests[name].name;
      if (from >= data.requests[name].prompt) return `${who} writes`;
      return `${who} reads ${count} of its prompt${emits ? " and writes" : ""}`;
    });
    return `Pass ${index + 1} of ${policy.steps.length}, ${(1e3 * step.start_s).toFixed(1)} to ${(1e3 * step.end_s).toFixed(1)} ms: ${shares.join("; ")}.`;
  };

  start("batching-timeline", (data, id, root) => {
    const end_s = Math.max(...data.policies.map((policy) => policy.steps.at(-1).end_s));
    const longest = Math.max(...data.policies.map((policy) => policy.steps.length));
    const draw = () => {
      const policy = data.policies[choose.value()];
      pass.setMax(policy.steps.length - 1);
      picture.redraw();
      say.textContent = sentence(data, policy, pass.value());
      outputs.tokens.textContent = policy.steps[pass.value()].shares.reduce((sum, share) => sum + share[2], 0);
      outputs.ttft.textContent = `${policy.stats.ttft_ms.toFixed(1)} ms`;
      outputs.tpot.textContent = `${policy.stats.tpot_ms.toFixed(1)} ms`;
      outputs.gap.textContent = `${policy.stats.gap_ms.toFixed(1)} ms`;
      outputs.throughput.textContent = policy.stats.throughput.toFixed(1);
    };
    const choose = choice(`${id}-policy`, "Policy", data.policies.map((policy) => policy.name), 0, () => draw());
    const pass = slider(`${id}-pass`, "Pass", Array.from({ length: longest }, (_, i) => i + 1), 0, String, () => draw());
    const say = speaker();
    const { box, outputs } = facts({ tokens: "Tokens of this pass", ttft: "Mean TTFT", tpot: "Mean TPOT", gap: "Longest gap", throughput: "Tokens per second" });
    const picture = fitted(MOST, (width) => drawing(data, data.policies[choose.value()], pass.value(), end_s, width));
    draw();
    return [choose.row, pass.row, sweep(root, pass, draw, 0.5), say, picture.frame, box,
      help("One row for each request; the short line is its arrival. Pale with a dashed edge: its prompt is read. Filled: it decodes a token. Arrow keys move the pass and the policy, P plays.")];
  });
})();
