-- Which item of a file is being judged: what is told when judging is stopped from outside.

return { kind = nil, index = nil }
