-- Each look at what waits has an index of its own, so that no other one seems shorter while nothing waits; a sync reads the
-- marks of a device as they lie.
SET LOCAL lock_timeout = '5s';
-- first what others may read meanwhile; the old indexes go at the end
LOCK TABLE clean_requests, device_marks IN SHARE MODE;

-- whether an earlier one of the channel waits. The predicate is another word for accepted: who says that is not offered this
-- index, and who says this is offered no other
CREATE INDEX clean_requests_unapplied_new ON clean_requests (channel_id, accepted_at)
    WHERE applied_at IS NULL AND cancelled_at IS NULL;
-- what is in force and not settled, of one user and of everyone; cutoff >= 0 is always so: who does not say it is not offered it
CREATE INDEX clean_requests_live ON clean_requests (channel_id, user_id)
    WHERE state IN ('accepted', 'applied') AND cutoff >= 0;
-- what waits to be counted, by channel; and to be settled, without that
CREATE INDEX clean_requests_uncounted_new ON clean_requests (channel_id, applied_at)
    WHERE state = 'applied' AND counted_at IS NULL;
CREATE INDEX clean_requests_unsettled_new ON clean_requests (undo_until) WHERE state = 'applied' AND counted_at IS NOT NULL;
-- recalled messages whose content a hold keeps
CREATE INDEX recalls_kept ON recalls (channel_id) WHERE NOT emptied;
-- all marks of a user lie side by side, in the order of his channels
CREATE UNIQUE INDEX device_marks_new ON device_marks (user_id, channel_id, device_id);

DROP INDEX clean_requests_unapplied, clean_requests_uncounted, clean_requests_unsettled;
ALTER INDEX clean_requests_unapplied_new RENAME TO clean_requests_unapplied;
ALTER INDEX clean_requests_uncounted_new RENAME TO clean_requests_uncounted;
ALTER INDEX clean_requests_unsettled_new RENAME TO clean_requests_unsettled;
ALTER TABLE device_marks DROP CONSTRAINT device_marks_pkey,
    ADD CONSTRAINT device_marks_pkey PRIMARY KEY USING INDEX device_marks_new;
