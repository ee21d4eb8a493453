// Tokens and turns by day, and what is left of the account's allowance.
import { get } from "./api.js";
import { amount, el, svg, visible } from "./dom.js";

export async function usage() {
  const report = await get("/usage?days=30");
  const days = new Map();
  for (let day = new Date(`${report.since}T00:00Z`); day <= new Date(`${report.today}T00:00Z`); day.setUTCDate(day.getUTCDate() + 1)) {
    days.set(day.toISOString().slice(0, 10), []);
  }
  for (const row of report.byDay) days.get(row.day)?.push(row);
  const all = [...days];
  const tokens = (row) => row.usage.totalTokens;
  const ended = (row) => [["completed", row.turns - row.failed - row.interrupted], ["interrupted", row.interrupted], ["failed", row.failed]];
  const sum = (rows, of) => rows.reduce((total, row) => total + of(row), 0);
  const mean = (rows) => Math.round(sum(rows, (row) => row.durationMs) / Math.max(1, sum(rows, (row) => row.turns)) / 100) / 10;
  const longest = Math.max(0, ...report.byDay.map((row) => row.longestMs)) / 1000;
  const tenants = new Map(all.map(([day]) => [day, []]));
  for (const row of report.byTenant) tenants.get(row.day)?.push(row);
  return el("div", {}, el("h2", {}, "Usage"), limits(report),
    plot("Tokens a day by model", all.map(([day, rows]) => [day, rows.map((row) => [row.model || "no model", tokens(row)])])),
    report.byTenant.some((row) => row.tenant) ? plot("Tokens a day by tenant", [...tenants].map(([day, rows]) => [day, grouped(rows, (row) => row.tenant || "the operator", tokens)])) : "",
    plot("Turns a day by outcome", all.map(([day, rows]) => [day, grouped(rows.flatMap(ended), ([outcome]) => outcome, ([, count]) => count)]), ["completed", "interrupted", "failed"]),
    plot("Seconds of a turn, on average", all.map(([day, rows]) => [day, [["seconds", mean(rows)]]]), ["seconds"], `the longest took ${longest.toFixed(1)} s`),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Usage by day and model" },
      el("table", {}, el("caption", {}, "By day and model (UTC)"),
        el("thead", {}, el("tr", {}, ["Day", "Model", "Turns", "Failed", "Interrupted", "Mean s", "Input", "Cached", "Output", "Total"].map((head) => el("th", { scope: "col" }, head)))),
        el("tbody", {}, report.byDay.map((row) => el("tr", {}, [row.day, visible(row.model || "-"), row.turns, row.failed, row.interrupted, mean([row]), row.usage.inputTokens, row.usage.cachedInputTokens,
          row.usage.outputTokens, row.usage.totalTokens].map((cell) => el("td", {}, String(cell)))))))),
    report.byDay.length ? "" : el("p", { class: "quiet" }, "No turn has ended in these 30 days."));
}

/** Adds up what belongs together. */
function grouped(rows, key, value) {
  const sums = new Map();
  for (const row of rows) sums.set(key(row), (sums.get(key(row)) ?? 0) + value(row));
  return [...sums];
}

function limits(report) {
  const windows = [["Shorter window", report.limits?.primary], ["Longer window", report.limits?.secondary]].filter(([, window]) => window);
  if (!windows.length) return el("p", { class: "quiet" }, visible(report.unknown ?? "The account says nothing of limits."));
  return el("dl", { class: "limits" }, windows.map(([name, window]) => [
    el("dt", {}, name), el("dd", {}, el("progress", { max: "100", value: String(window.usedPercent), "aria-label": name }),
      ` ${Math.round(window.usedPercent)} % used`, window.resetsAt ? `, until ${new Date(window.resetsAt).toLocaleString()}` : "")]));
}

/** Bars by day, each made of parts. `order` says which part has which colour; what has none of the colours shares the last one. */
function plot(title, days, order = null, remark = "") {
  const [width, height, gap, colours] = [720, 160, 2, 6];
  const parts = order ?? grouped(days.flatMap(([, rows]) => rows), ([name]) => name, ([, value]) => value)
    .sort(([, one], [, other]) => other - one).map(([name]) => name);
  const colour = (name) => Math.min(parts.indexOf(name), colours - 1);
  const total = (rows) => rows.reduce((sum, [, value]) => sum + value, 0);
  const most = Math.max(0, ...days.map(([, rows]) => total(rows)));
  const step = width / days.length;
  const bars = days.map(([day, rows], index) => {
    const bar = svg("g", { tabindex: "0", class: "day" });
    bar.append(svg("title"), svg("rect", { class: "whole", x: index * step, y: 0, width: step, height }));
    const said = rows.filter(([, value]) => value).map(([name, value]) => (rows.length > 1 || parts.length > 1 ? `${visible(name)} ${amount(value)}` : amount(value)));
    bar.firstChild.textContent = `${day}: ${said.join(", ") || "none"}`;
    let top = height;
    for (const [name, value] of [...rows].sort(([one], [other]) => parts.indexOf(one) - parts.indexOf(other))) {
      const tall = (value / Math.max(most, 1e-9)) * (height - 20);
      top -= tall;
      if (value) bar.append(svg("rect", { class: `part part-${colour(name)}`, x: index * step, y: top, width: Math.max(1, step - gap), height: tall }));
    }
    return bar;
  });
  const words = days.filter(([, rows]) => total(rows)).map(([, rows], at) => bars[days.findIndex(([, of]) => of === rows)]?.firstChild.textContent ?? at);
  const legend = parts.length > 1 ? el("ul", { class: "legend" }, parts.map((name) => el("li", {}, el("span", { class: `swatch part-${colour(name)}`, "aria-hidden": "true" }), visible(name)))) : "";
  return el("figure", {}, el("figcaption", {}, `${title}, at most ${amount(most)}${remark ? `; ${remark}` : ""}`), legend,
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${words.join("; ") || "none"}` }, ...bars));
}
