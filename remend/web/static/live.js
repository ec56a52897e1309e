// One stream of events per tab. It brings names and ids, never content: each panel asks its own page for itself again.
(() => {
  "use strict";
  const body = document.body;
  const lost = document.getElementById("lost");
  let source = null, seq = body.dataset.seq, heard = 0, timer = 0;

  // a panel is an element with an id and data-live: "all", or the id of what it shows
  function refresh(subject) {
    for (const panel of document.querySelectorAll("[data-live]")) {
      if (panel.dataset.live === "all" || panel.dataset.live === subject || subject === null) again(panel);
    }
  }

  function again(panel) {
    if (!panel.id || document.hidden || panel.dataset.busy || panel.contains(document.activeElement) && typing()) return;
    panel.dataset.busy = "1";
    const done = () => { const now = document.getElementById(panel.id); if (now) delete now.dataset.busy; moved(); };
    const address = location.pathname + location.search;
    window.htmx.ajax("GET", address, { source: panel, target: panel, select: "#" + panel.id, swap: "outerMorph" }).then(done, done);
  }

  function typing() {
    return /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  }

  // what a decision is bound to is never exchanged under the reader's eyes: the page says that it has grown old
  function moved() {
    const note = document.getElementById("moved"), standing = document.getElementById("standing");
    if (note && standing && note.dataset.rev !== standing.dataset.rev) note.hidden = false;
  }

  function happened(event) {
    if (event.lastEventId) seq = event.lastEventId;
    heard = Date.now();
    lost.hidden = true;
    if (event.type === "hello" || event.type === "heartbeat") return;
    body.dispatchEvent(new CustomEvent("remend:" + event.type, { detail: event.data }));
    clearTimeout(timer);
    timer = setTimeout(refresh, 150, event.data);
  }

  function listen() {
    if (source || document.hidden) return;
    heard = Date.now();
    source = new EventSource("/api/v1/events");
    for (const verb of ["hello", "heartbeat", ...body.dataset.verbs.split(" ")]) source.addEventListener(verb, happened);
    source.onerror = () => { lost.hidden = false; };
    source.onopen = () => { if (!lost.hidden) refresh(null); lost.hidden = true; };
  }

  function hush() {
    if (source) source.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return hush(); // six tabs must not take all connections
    listen();
    refresh(null);
  });
  addEventListener("pagehide", hush);
  addEventListener("pageshow", listen);
  setInterval(() => {
    if (document.hidden || !source) return;
    if (Date.now() - heard > 35000) { lost.hidden = false; hush(); listen(); } // two heartbeats were missed
  }, 5000);

  // what changes without a row in the audit log is looked at now and then
  const every = () => {
    for (const panel of document.querySelectorAll("[data-live][data-every]")) {
      const period = 1000 * panel.dataset.every;
      if (Date.now() - (panel.dataset.at || 0) >= period) { panel.dataset.at = Date.now(); again(panel); }
    }
    const chips = document.getElementById("chips");
    if (chips && Date.now() - (chips.dataset.at || 0) >= 5000) { chips.dataset.at = Date.now(); again(chips); }
  };
  for (const panel of document.querySelectorAll("[data-live]")) panel.dataset.at = Date.now();
  setInterval(every, 1000);
  listen();
})();
