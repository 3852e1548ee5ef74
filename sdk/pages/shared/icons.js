// The pictures on buttons: line drawings on a grid of 24, each a list of path data, drawn in the colour of the text.

const SHAPES = {
  mic: ["M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3Z", "M5.5 11a6.5 6.5 0 0 0 13 0", "M12 17.5V21"],
  micOff: ["M15 9.5V6a3 3 0 0 0-5.8-1", "M9 9v2a3 3 0 0 0 4.7 2.5", "M5.5 11a6.5 6.5 0 0 0 10.5 5.1", "M18.4 11.9c.07-.3.1-.6.1-.9", "M12 17.5V21", "M4 4l16 16"],
  camera: ["M4.5 6.5h9a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2Z", "M15.5 10.5l6-3v9l-6-3"],
  cameraOff: ["M10 6.5h3.5a2 2 0 0 1 2 2V12", "M15.5 10.5l6-3v9l-3.5-1.75", "M14.5 17.2a2 2 0 0 1-1 .3h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2", "M3 3l18 18"],
  share: ["M4 5h16a1.5 1.5 0 0 1 1.5 1.5v9A1.5 1.5 0 0 1 20 17H4a1.5 1.5 0 0 1-1.5-1.5v-9A1.5 1.5 0 0 1 4 5Z", "M8 21h8", "M12 14V8.5", "M9.2 11L12 8.2 14.8 11"],
  shareOff: ["M4 5h16a1.5 1.5 0 0 1 1.5 1.5v9A1.5 1.5 0 0 1 20 17H4a1.5 1.5 0 0 1-1.5-1.5v-9A1.5 1.5 0 0 1 4 5Z", "M8 21h8", "M9.5 8.5l5 5", "M14.5 8.5l-5 5"],
  chat: ["M5 4.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-4.5 4v-4H5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2Z", "M8 9h8", "M8 12.5h5"],
  people: ["M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Z", "M2.5 20a6.5 6.5 0 0 1 13 0", "M16 4.4a3.5 3.5 0 0 1 0 6.2", "M18 14.5a6.5 6.5 0 0 1 3.5 5.5"],
  devices: ["M4 7h9", "M18 7h2", "M15.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z", "M4 17h2", "M11 17h9", "M8.5 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z"],
  leave: ["M3.2 14.8c-.9-1.3-.8-3 .3-4 4.7-4.3 12.3-4.3 17 0 1.1 1 1.2 2.7.3 4l-.6.9a1.5 1.5 0 0 1-1.9.5l-2.3-1.2a1.5 1.5 0 0 1-.8-1.5l.1-1.3a10.5 10.5 0 0 0-6.6 0l.1 1.3a1.5 1.5 0 0 1-.8 1.5l-2.3 1.2a1.5 1.5 0 0 1-1.9-.5Z"],
  link: ["M10 14a4 4 0 0 0 5.7 0l3.6-3.6a4 4 0 0 0-5.7-5.7L12 6.3", "M14 10a4 4 0 0 0-5.7 0l-3.6 3.6a4 4 0 0 0 5.7 5.7L12 17.7"],
  hand: ["M8 12.5V6a1.4 1.4 0 0 1 2.8 0v5", "M10.8 10.5V4.4a1.4 1.4 0 0 1 2.8 0v6.1", "M13.6 10.5V5.7a1.4 1.4 0 0 1 2.8 0v7", "M16.4 12V8.7a1.4 1.4 0 0 1 2.8 0v6.1c0 4-2.6 6.7-6.2 6.7-2.7 0-4.3-1-5.7-3.2l-3.1-4.7a1.5 1.5 0 0 1 2.4-1.8L8 13.5"],
  expand: ["M4 9V4h5", "M20 9V4h-5", "M4 15v5h5", "M20 15v5h-5"],
  pip: ["M4 5h16a1.5 1.5 0 0 1 1.5 1.5v11A1.5 1.5 0 0 1 20 19H4a1.5 1.5 0 0 1-1.5-1.5v-11A1.5 1.5 0 0 1 4 5Z", "M12.5 12h6v4h-6Z"],
  volume: ["M4 9.5v5h3.5L12 18.5v-13L7.5 9.5Z", "M15.5 9a4.2 4.2 0 0 1 0 6", "M18.2 6.5a8 8 0 0 1 0 11"],
  volumeOff: ["M4 9.5v5h3.5L12 18.5v-13L7.5 9.5Z", "M16 9.5l5 5", "M21 9.5l-5 5"],
  send: ["M4 12L20.5 4 16 20.5l-4.5-6.5Z", "M11.5 14l9-10"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  pin: ["M9 4h6", "M10 4v6l-3 4h10l-3-4V4", "M12 14v6"],
  info: ["M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z", "M12 11v5.5", "M12 7.5v.01"],
  spotlight: ["M4.5 4.5h15a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1Z", "M3.5 19.5h4", "M10 19.5h4", "M16.5 19.5h4"],
  grid: ["M4 4.5h6.5v6.5H4Z", "M13.5 4.5H20v6.5h-6.5Z", "M4 14h6.5v5.5H4Z", "M13.5 14H20v5.5h-6.5Z"],
  live: ["M12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z", "M7.8 16.2a6 6 0 0 1 0-8.4", "M16.2 7.8a6 6 0 0 1 0 8.4", "M4.9 19.1a10 10 0 0 1 0-14.2", "M19.1 4.9a10 10 0 0 1 0 14.2"],
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z", "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z"],
  stop: ["M6.5 6.5h11v11h-11Z"],
  flip: ["M4 9a8 8 0 0 1 14-3l2 2", "M20 4v4h-4", "M20 15a8 8 0 0 1-14 3l-2-2", "M4 20v-4h4"],
};

/** An `<svg>` of that name, hidden from screen readers: its button has a label. */
export function icon(name) {
  const svg = document.createElementNS(SPACE, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  for (const data of SHAPES[name]) {
    const path = document.createElementNS(SPACE, "path");
    path.setAttribute("d", data);
    svg.append(path);
  }
  return svg;
}

/** The mark of the house. */
export function mark() {
  const svg = document.createElementNS(SPACE, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(SPACE, "rect");
  for (const [name, value] of Object.entries({ width: 32, height: 32, rx: 8 })) rect.setAttribute(name, String(value));
  const path = document.createElementNS(SPACE, "path");
  path.setAttribute("d", "M4 13c4-5 8-5 12 0s8 5 12 0M4 21c4-5 8-5 12 0s8 5 12 0");
  svg.append(rect, path);
  return svg;
}

const SPACE = "http://www.w3.org/2000/svg";
