// The live log: takes over from what the page shows, and follows while the reader is at the end.
(() => {
  const log = document.getElementById("log");
  if (!log || !window.EventSource) return;
  const time = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false, timeZone: "UTC" });
  let fresh = true;
  const source = new EventSource(log.dataset.stream);
  const atEnd = () => log.scrollTop + log.clientHeight >= log.scrollHeight - 60;
  const state = () => document.getElementById("head").dataset.state;
  const add = (level, at, text) => {
    const number = log.childElementCount + 1;
    const line = document.createElement("div");
    line.className = "log__line";
    line.id = "L" + number;
    line.dataset.level = level;
    const no = document.createElement("a");
    no.className = "log__no";
    no.href = "#L" + number;
    no.textContent = number;
    const when = document.createElement("span");
    when.className = "log__time";
    when.textContent = time.format(new Date(at));
    const words = document.createElement("span");
    words.className = "log__text";
    words.textContent = text;
    line.append(no, when, words);
    log.append(line);
  };
  // State, duration, error and artifacts change while the log runs; the Server renders them, the log stays.
  const refresh = async () => {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["head", "artifacts"]) document.getElementById(part).replaceWith(page.getElementById(part));
  };
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (fresh) {
      fresh = false;
      log.replaceChildren();
      if (state() === "queued") refresh();
    }
    if (event.Kind !== "Line" && (event.Kind !== "Open" || event.Status === "Pending")) return;
    const follow = atEnd();
    add(event.Kind === "Open" ? "step" : (event.Category || "info").toLowerCase(), event.OccurredAt, event.Text);
    if (follow) log.scrollTop = log.scrollHeight;
  };
  source.addEventListener("end", () => {
    source.close();
    if (state() === "queued" || state() === "executing") refresh();
  });
})();
