// One stream of events per tab. It brings names and ids, never content: each panel asks its own page for itself again.
(() => {
  "use strict";
  const body = document.body;
  const lost = document.getElementById("lost");
  let source = null, seq = Number(body.dataset.seq), heard = 0, timer = 0, pending = null;
  const looked = new Map(); // panel -> when it was asked for itself

  // a panel is an element with an id and data-live: "all", or the id of what it shows
  function refresh(subject) {
    pending = null;
    for (const panel of document.querySelectorAll("[data-live]")) {
      if (panel.dataset.live === "all" || panel.dataset.live === subject || subject === null) again(panel);
    }
  }

  function again(panel) {
    if (!panel.id || document.hidden || panel.dataset.busy || panel.querySelector("details[open]") || panel.contains(document.activeElement) && typing()) return;
    panel.dataset.busy = "1";
    looked.set(panel.id, Date.now());
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
    const subject = event.data;
    const missed = event.type === "hello" && Number(subject) > seq; // between this page and this line
    seq = Math.max(seq, Number(event.lastEventId) || 0);
    heard = Date.now();
    lost.hidden = true;
    if (missed) refresh(null);
    if (event.type === "hello" || event.type === "heartbeat") return;
    body.dispatchEvent(new CustomEvent("remend:" + event.type, { detail: subject }));
    const all = pending !== null && pending !== subject; // several things within a moment
    pending = all ? "" : subject;
    clearTimeout(timer);
    timer = setTimeout(refresh, 150, all ? null : subject);
  }

  function listen() {
    if (source || document.hidden) return;
    heard = Date.now();
    source = new EventSource("/api/v1/events");
    for (const verb of ["hello", "heartbeat", ...body.dataset.verbs.split(" ")]) source.addEventListener(verb, happened);
    source.onerror = () => { lost.hidden = false; };
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
      if (!looked.has(panel.id)) looked.set(panel.id, Date.now());
      if (Date.now() - looked.get(panel.id) >= 1000 * panel.dataset.every) again(panel);
    }
  };
  setInterval(every, 1000);
  listen();
})();
