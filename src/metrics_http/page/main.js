// Puts the page together.

const model = {current: undefined};

function chosen() {
  return document.querySelector("#window input:checked").value;
}

function render() {
  const current = model.current;
  if (!current) return;
  const {snapshot} = current;
  setText(document.getElementById("service"), snapshot.service);
  document.title = `${snapshot.service} · Holdfast`;
  document.getElementById("window").hidden = !snapshot.history;
  const choice = snapshot.history ? chosen() : "total";
  keepChildren(
    document.getElementById("stacks"), snapshot.stacks.map((stack) => ({stack, choice})),
    ({stack}) => stack.name, ({stack}) => new StackCard(stack, model));
  const loose = current.loose();
  document.getElementById("others").hidden = loose.length === 0;
  keepChildren(document.getElementById("other-list"), loose, (object) => object.name, (object) => {
    const box = new ObjectBox();
    const node = element("li", {}, element("h3", {}, object.name), box.node);
    return {node, update: ({name, metrics}) => box.show(showObject(model.current.object(name, metrics), model.current))};
  });
  document.getElementById("empty").hidden = snapshot.stacks.length > 0 || loose.length > 0;
  updateKeys(snapshot.events);
  updateEvents(snapshot.events, document.getElementById("event-filter").value);
}

document.getElementById("window").addEventListener("change", render);
document.getElementById("event-filter").addEventListener("change", render);

new Feed(
  (snapshot) => {
    model.current = new Model(snapshot);
    render();
  },
  (state, text) => {
    const status = document.getElementById("status");
    setAttribute(status, "data-state", state);
    document.body.classList.toggle("stale", state === "stale");
    setText(document.getElementById("status-text"), text);
  });
