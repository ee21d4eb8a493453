// Tokens by day and model, and what is left of the account's allowance.
import { get } from "./api.js";
import { amount, el, svg, visible } from "./dom.js";

export async function usage() {
  const report = await get("/usage?days=30");
  const days = new Map();
  for (let day = new Date(`${report.since}T00:00Z`); day <= new Date(`${report.today}T00:00Z`); day.setUTCDate(day.getUTCDate() + 1)) {
    days.set(day.toISOString().slice(0, 10), []);
  }
  for (const row of report.byDay) days.get(row.day)?.push(row);
  const total = (rows, of) => rows.reduce((sum, row) => sum + of(row), 0);
  const all = [...days];
  return el("div", {}, el("h2", {}, "Usage"), limits(report),
    plot("Tokens a day", all.map(([day, rows]) => [day, total(rows, (row) => row.usage.totalTokens)])),
    plot("Turns a day", all.map(([day, rows]) => [day, total(rows, (row) => row.turns)])),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Usage by day and model" },
      el("table", {}, el("caption", {}, "By day and model (UTC)"),
        el("thead", {}, el("tr", {}, ["Day", "Model", "Turns", "Input", "Cached", "Output", "Total"].map((head) => el("th", { scope: "col" }, head)))),
        el("tbody", {}, report.byDay.map((row) => el("tr", {}, [row.day, visible(row.model || "-"), row.turns, row.usage.inputTokens, row.usage.cachedInputTokens,
          row.usage.outputTokens, row.usage.totalTokens].map((cell) => el("td", {}, String(cell)))))))),
    report.byDay.length ? "" : el("p", { class: "quiet" }, "No turn has ended in these 30 days."));
}

function limits(report) {
  const windows = [["Shorter window", report.limits?.primary], ["Longer window", report.limits?.secondary]].filter(([, window]) => window);
  if (!windows.length) return el("p", { class: "quiet" }, visible(report.unknown ?? "The account says nothing of limits."));
  return el("dl", { class: "limits" }, windows.map(([name, window]) => [
    el("dt", {}, name), el("dd", {}, el("progress", { max: "100", value: String(window.usedPercent ?? window.used_percent), "aria-label": name }),
      ` ${Math.round(window.usedPercent ?? window.used_percent)} % used`, window.resetsAt ? `, until ${new Date(window.resetsAt * 1000).toLocaleString()}` : "")]));
}

function plot(title, days) {
  const [width, height, gap] = [720, 160, 2];
  const most = Math.max(1, ...days.map(([, value]) => value));
  const step = width / days.length;
  const bars = days.map(([day, value], index) => {
    const tall = Math.round((value / most) * (height - 20));
    const bar = svg("rect", { class: "bar", x: index * step, y: height - tall, width: Math.max(1, step - gap), height: tall, tabindex: "0" });
    bar.append(svg("title"));
    bar.firstChild.textContent = `${day}: ${amount(value)}`;
    return bar;
  });
  return el("figure", {}, el("figcaption", {}, `${title}, at most ${amount(most)}`),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${days.filter(([, value]) => value).map(([day, value]) => `${day} ${value}`).join(", ") || "none"}` }, ...bars));
}
