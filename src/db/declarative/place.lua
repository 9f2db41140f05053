-- Which item of a file is being judged: what is told when judging is stopped from outside. Every step is told to the
-- watchdog, which stops a single item that takes too long, not a long file.

local lap = require("moongate.ops").vm.lap

local place = { kind = nil, index = nil, item = nil }

--- Goes on to an item.
function place.step(kind, index, item)
  place.kind, place.index, place.item = kind, index, item
  lap()
end

--- Is at no item.
function place.leave()
  place.kind, place.index, place.item = nil, nil, nil
  lap()
end

--- The place in words; nil when at no item.
function place.told()
  if not place.kind then
    return nil
  end
  local item = place.item
  local name = type(item) == "table" and (item.name or item.username or item.id)
  local who = type(name) == "string" and #name <= 128 and " (" .. name .. ")" or ""
  return ("in entry %s of '%s'%s"):format(tostring(place.index), place.kind, who)
end

return place
