-- Each look at what waits has an index of its own, so that no other one seems shorter while nothing waits; a sync reads the
-- marks of a device as they lie.
SET LOCAL lock_timeout = '5s';

-- whether an earlier one of the channel waits; accepted_at > 0 is always so: who does not say it is not offered this index
DROP INDEX clean_requests_unapplied;
CREATE INDEX clean_requests_unapplied ON clean_requests (channel_id, accepted_at)
    WHERE state = 'accepted' AND accepted_at > 0;

-- what waits to be counted is not in it
DROP INDEX clean_requests_unsettled;
CREATE INDEX clean_requests_unsettled ON clean_requests (undo_until) WHERE state = 'applied' AND counted_at IS NOT NULL;

-- all marks of a user lie side by side, in the order of his channels
ALTER TABLE device_marks DROP CONSTRAINT device_marks_pkey,
    ADD CONSTRAINT device_marks_pkey PRIMARY KEY (user_id, channel_id, device_id);
