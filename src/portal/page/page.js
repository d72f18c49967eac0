// Keeps the page as the portal has it: fetches it again, and takes over what differs. The server alone makes HTML, so
// that there is one place where names are escaped; nodes that stay are kept, so that focus and selection stay, too.
"use strict";

const POLL_MS = 1000; // often enough to see a bar move, and no load for a loopback server

let last = "";

// Times in the words and the zone of whoever looks.
function localise(root) {
  for (const time of root.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    if (!isNaN(moment)) time.textContent = moment.toLocaleString(undefined, {dateStyle: "medium", timeStyle: "short"});
  }
}

// Makes `old` like `fresh`; the node that then stands there.
function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return old;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return fresh;
  }
  for (const {name} of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.nodeName === "UL") {
    renewList(old, [...fresh.children]);
  } else if (old.childNodes.length === fresh.childNodes.length) {
    const nodes = [...fresh.childNodes];
    [...old.childNodes].forEach((node, at) => renew(node, nodes[at]));
  } else {
    old.replaceChildren(...fresh.childNodes);
  }
  return old;
}

// Entries are the same where their ids are; those that stay are not moved.
function renewList(list, fresh) {
  const ids = new Set(fresh.map(item => item.id));
  for (const item of [...list.children]) if (!ids.has(item.id)) item.remove();
  fresh.forEach((item, at) => {
    const old = document.getElementById(item.id);
    const now = old ? renew(old, item) : item;
    if (list.children[at] !== now) list.insertBefore(now, list.children[at] ?? null);
  });
}

async function look() {
  const answer = await fetch(location.pathname, {cache: "no-store", credentials: "omit"});
  if (!answer.ok) throw new Error(`${answer.status}`);
  const html = await answer.text();
  if (html === last) return;
  last = html;
  const page = new DOMParser().parseFromString(html, "text/html");
  localise(page);
  renew(document.querySelector("main"), document.adoptNode(page.querySelector("main")));
}

async function poll() {
  // What nobody sees need not be new.
  if (!document.hidden) {
    const lost = document.getElementById("lost");
    await look().then(() => { lost.hidden = true; }, () => { lost.hidden = false; });
  }
  setTimeout(poll, POLL_MS);
}

localise(document);
poll();
