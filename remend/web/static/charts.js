// The last minute of a robot, drawn anew twice a second. What is old is said to be old and never drawn as now.
(() => {
  "use strict";
  const place = document.querySelector("[data-course]");
  if (!place || !window.uPlot) return;
  const plots = place.querySelector(".plots"), still = place.querySelector(".still"), says = document.getElementById("live-says");
  const WINDOW_S = 60, STALE_MS = 3000, HEIGHT = 200;
  const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4]];
  let charts = [], data = null, since = 0, ratioSince = 0, heard = 0, stale = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const figure = (value) => value === null || !isFinite(value) ? "" : String(Number(value.toPrecision(3)));

  function palette() {
    return [colour("--after"), colour("--before"), colour("--plain"), colour("--reference"), colour("--good")];
  }

  function build(course) {
    plots.textContent = "";
    charts = [];
    plots.hidden = false; // what is hidden has no width
    if (still) still.hidden = true;
    const units = [...new Set(course.units)].join(" or ");
    add("Tracking error", units, course.joints, () => [data.t, ...data.error], false);
    add("Command", course.command_unit, course.actuators, () => [data.t, ...data.command], false);
    add("Test ratio, 1 is an alarm", "", ["test ratio"], () => [data.rt, data.ratio], true);
  }

  function add(title, unit, names, rows, log) {
    const box = document.createElement("figure"), head = document.createElement("figcaption"), plot = document.createElement("div");
    head.className = "title";
    head.textContent = unit ? `${title} [${unit.replace("*", "·")}]` : title;
    plot.className = "plot";
    box.append(head, plot);
    plots.append(box);
    const ink = colour("--soft"), rule = colour("--rule"), colours = palette();
    const axis = { stroke: ink, grid: { stroke: rule, width: 0.7 }, ticks: { stroke: rule, width: 0.7 }, font: "11px system-ui, sans-serif" };
    const series = names.map((name, k) => ({ label: name, stroke: colours[k % colours.length], width: 1.4, dash: dashes[Math.floor(k / colours.length) % dashes.length], points: { show: false } }));
    const draw = log ? { hooks: { draw: [limit] } } : {};
    const chart = new uPlot({
      width: Math.max(240, plot.clientWidth), height: HEIGHT, legend: { show: names.length > 1, live: false }, cursor: { show: false },
      scales: { x: { time: false }, y: log ? { distr: 3, range: (u, lo, hi) => [0.1, Math.max(10, hi * 1.5)] } : {} },
      axes: [{ ...axis, values: (u, ticks) => ticks.map((t) => `${t} s`) }, { ...axis, size: 56, values: (u, ticks) => ticks.map((v) => v === null ? "" : figure(v)) }],
      series: [{}, ...series], ...draw,
    }, rows(), plot);
    charts.push({ chart, rows, plot });
  }

  function limit(u) {
    const y = u.valToPos(1, "y", true), ctx = u.ctx;
    ctx.save();
    ctx.strokeStyle = colour("--limit");
    ctx.lineWidth = devicePixelRatio * 1.4;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(u.bbox.left, y);
    ctx.lineTo(u.bbox.left + u.bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }

  function keep(times, columns, from) {
    let k = 0;
    while (k < times.length && times[k] < from) k += 1;
    if (k) { times.splice(0, k); columns.forEach((column) => column.splice(0, k)); }
  }

  function take(course) {
    if (!course.joints.length) return;
    const last = course.t_s[course.t_s.length - 1];
    if (data && last !== undefined && last < since) data = null; // the robot's clock began anew
    if (!data) {
      data = { t: [], error: course.joints.map(() => []), command: course.actuators.map(() => []), rt: [], ratio: [] };
      since = ratioSince = -Infinity;
    }
    course.t_s.forEach((t, k) => {
      if (t <= since) return;
      data.t.push(t);
      data.error.forEach((column, j) => column.push(course.error[j][k]));
      data.command.forEach((column, j) => column.push(course.command[j][k]));
    });
    course.ratio_t_s.forEach((t, k) => {
      if (t <= ratioSince) return;
      data.rt.push(t);
      data.ratio.push(Math.max(course.ratio[k], 0.1));
    });
    if (last !== undefined && last > since) { since = last; heard = Date.now(); }
    if (data.rt.length) ratioSince = data.rt[data.rt.length - 1];
    keep(data.t, [...data.error, ...data.command], since - WINDOW_S);
    keep(data.rt, [data.ratio], since - WINDOW_S);
    if (!charts.length && data.t.length) build(course);
    charts.forEach(({ chart, rows }) => chart.setData(rows()));
  }

  function judge() {
    const old = heard && Date.now() - heard > STALE_MS;
    if (old === stale) return;
    stale = old;
    plots.classList.toggle("stale", Boolean(old));
    says.textContent = old ? `No data from ${place.dataset.robot}. What is drawn is old.` : "";
  }

  async function ask() {
    if (!document.hidden) {
      try {
        const from = isFinite(since) ? since : 0;
        const answer = await fetch(`${place.dataset.course}?since_s=${from}`, { headers: { Accept: "application/json" } });
        if (answer.ok) take(await answer.json());
      } catch { /* the line is lost; what is drawn grows old and says so */ }
      judge();
    }
    setTimeout(ask, 500);
  }

  addEventListener("resize", () => charts.forEach(({ chart, plot }) => chart.setSize({ width: Math.max(240, plot.clientWidth), height: HEIGHT })));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { charts.forEach(({ chart }) => chart.destroy()); charts = []; });
  ask();
})();
