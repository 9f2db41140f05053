-- Publish and subscribe on channels named by paths: { "test", "end" } reaches the
-- subscribers of that path, then those of { "test" }, then those of {}.
-- A subscriber that does not return true as its second value ends the delivery.

local events = {}

local function channel_of(root, names, create)
  local channel = root
  for _, name in ipairs(names) do
    local child = channel.children[name]
    if not child then
      if not create then return nil, channel end
      child = { subscribers = {}, children = {}, parent = channel }
      channel.children[name] = child
    end
    channel = child
  end
  return channel, channel
end

function events.new()
  local root = { subscribers = {}, children = {} }
  local bus = {}
  local last_id = 0

  -- options.priority: the position among the channel's subscribers;
  -- options.predicate: called with the event's values, false skips the subscriber.
  function bus.subscribe(names, fn, options)
    local list = channel_of(root, names, true).subscribers
    last_id = last_id + 1
    local subscriber = { id = last_id, fn = fn, options = options or {} }
    local position = #list + 1
    local priority = subscriber.options.priority
    if priority and priority >= 0 then
      position = math.max(1, math.min(priority, position))
    end
    table.insert(list, position, subscriber)
    return subscriber
  end

  function bus.unsubscribe(id, names)
    local channel = channel_of(root, names)
    if not channel then return nil end
    for i, subscriber in ipairs(channel.subscribers) do
      if subscriber.id == id then
        return table.remove(channel.subscribers, i)
      end
    end
    return nil
  end

  -- Returns the non-nil first values of the subscribers.
  function bus.publish(names, ...)
    local results = {}
    local _, channel = channel_of(root, names)
    while channel do
      local list = channel.subscribers
      local i = 1
      while i <= #list do
        local subscriber = list[i]
        local predicate = subscriber.options.predicate
        if not predicate or predicate(...) then
          local value, continue = subscriber.fn(...)
          if value ~= nil then
            results[#results + 1] = value
          end
          if not continue then return results end
        end
        i = i + 1
      end
      channel = channel.parent
    end
    return results
  end

  return bus
end

return events
