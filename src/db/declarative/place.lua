-- Which item of a file is being judged: what is told when judging is stopped from outside. Every step is told to the
-- watchdog, which stops a single item that takes too long, not a long file.

local lap = require("moongate.ops").vm.lap

local place = { kind = nil, index = nil }

--- Goes on to an item.
function place.step(kind, index)
  place.kind, place.index = kind, index
  lap()
end

return place
