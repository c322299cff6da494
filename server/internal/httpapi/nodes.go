package httpapi

import (
	"context"

	"holdfast/api"
	"holdfast/format/id"
)

func (s *server) joinNode(ctx context.Context, _ api.Request, req api.JoinRequest) (api.JoinResponse, error) {
	joined, err := s.Fleet.Join(ctx, req.Invite, req.Declaration)
	if err != nil {
		return api.JoinResponse{}, problem(err)
	}
	return api.JoinResponse{
		Node: joined.Node, TicketKey: id.Bytes32(joined.TicketKey), OrderKey: id.Bytes32(joined.OrderKey), Epoch: joined.Epoch,
	}, nil
}

func (s *server) heartbeat(ctx context.Context, _ api.Request, req api.HeartbeatRequest) (api.HeartbeatResponse, error) {
	answer, err := s.Fleet.Heartbeat(ctx, req.Heartbeat, req.Receipts)
	if err != nil {
		return api.HeartbeatResponse{}, problem(err)
	}
	return api.HeartbeatResponse{Epoch: answer.Epoch, Orders: answer.Orders, More: answer.More, Time: answer.Time.Unix()}, nil
}
